"""Takes the picture of the page that the documentation shows. Usage: picture.py PAGE PNG"""

import sys

from browser import Browser

with Browser() as chromium:
    tab = chromium.open(sys.argv[1], height=1560)
    tab.screenshot(sys.argv[2], whole=False)
