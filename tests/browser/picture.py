"""Takes the picture of the page that the documentation shows. Usage: picture.py PAGE PNG"""

import sys
from pathlib import Path

from browser import Browser

with Browser() as chromium:
    tab = chromium.open(sys.argv[1])
    tab.screenshot(sys.argv[2], height=tab.evaluate("document.querySelector('#rows tbody').rows[1].getBoundingClientRect().bottom"))
size = Path(sys.argv[2]).stat().st_size
if size > 200_000:
    sys.exit(f"picture.py: {sys.argv[2]} has {size} bytes; 200,000 are enough for documentation")
