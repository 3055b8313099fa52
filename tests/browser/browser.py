"""A headless Chromium, driven over a pair of pipes by the Chrome DevTools Protocol: no port, no driver, no package."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--hide-scrollbars", "--force-color-profile=srgb",
)
PATIENCE = 60.0
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowRight": 39}


class Browser:
    """A running Chromium; use it in a `with`."""

    def __enter__(self):
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            raise SystemExit("test-browser: none of " + ", ".join(NAMES) + " is on PATH; tools/install chromium tries to install it")
        self.folder = tempfile.TemporaryDirectory(prefix="config-backup-chromium.", ignore_cleanup_errors=True)
        # Chromium reads commands from descriptor 3 and writes to 4; ours must be none of the two.
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out, ours_in, ours_out)]
        for end in (theirs_in, theirs_out, ours_in, ours_out):
            os.close(end)
        theirs_in, theirs_out, self.incoming, self.outgoing = high

        def connect():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self.log = Path(self.folder.name, "log").open("wb")
        command = [program, *FLAGS, f"--user-data-dir={self.folder.name}/profile", "about:blank"]
        environment = {**os.environ, "HOME": self.folder.name, "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment, pass_fds=(3, 4), preexec_fn=connect
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.rest, self.number, self.events = b"", 0, []
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
        except (OSError, RuntimeError):
            self.process.kill()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        os.close(self.incoming)
        os.close(self.outgoing)
        self.folder.cleanup()

    def message(self, until):
        """The next message of Chromium."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.incoming], [], [], max(0, until - time.monotonic()))
            piece = os.read(self.incoming, 1 << 20) if ready else b""
            if not piece:
                words = Path(self.log.name).read_text(errors="replace")[-2000:]
                raise RuntimeError(f"Chromium {'ended' if ready else 'did not answer in time'}: {words}")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        """Sends a command and gives its result; events that come in between are kept."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self.outgoing, data):]
        until = time.monotonic() + PATIENCE
        while True:
            message = self.message(until)
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def listen(self, seconds):
        """Takes in what Chromium tells by itself, for a moment."""
        until = time.monotonic() + seconds
        while b"\0" in self.rest or select.select([self.incoming], [], [], max(0, until - time.monotonic()))[0]:
            self.events.append(self.message(until + PATIENCE))

    def open(self, path, **view):
        """Opens a file in a tab of its own."""
        return Tab(self, path, **view)


class Tab:
    """One page, with everything that it asked for and complained about."""

    def __init__(self, browser, path, width=1280, height=900, dark=False, scripts=True, scale=1):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Audits", "Accessibility", "DOM"):
            self.call(f"{domain}.enable")
        self.resize(width, height, scale)
        self.emulate(dark=dark)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=Path(path).resolve().as_uri())
        self.wait_for("Page.loadEventFired")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def seen(self, method):
        """The events of this tab with this name, so far."""
        return [it["params"] for it in self.browser.events if it.get("sessionId") == self.session and it["method"] == method]

    def wait_for(self, method):
        until = time.monotonic() + PATIENCE
        while not self.seen(method):
            self.browser.events.append(self.browser.message(until))

    def requests(self):
        """The addresses that the page asked for."""
        return [it["request"]["url"] for it in self.seen("Network.requestWillBeSent")]

    def complaints(self):
        """Everything on the console, uncaught errors, and what the page's policy forbade."""
        self.browser.listen(0.05)
        names = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded")
        return [it for name in names for it in self.seen(name)]

    def resize(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def emulate(self, dark=False, media=""):
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def evaluate(self, expression):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def click(self, selector):
        """Clicks at the middle of an element, as a mouse does."""
        place = self.evaluate(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)}); it.scrollIntoView({{block: 'center', inline: 'center'}});"
            " const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def press(self, key, shift=False):
        """Presses a key."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        """Types into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path, height=None):
        """A picture of the page as PNG, or of its head."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def pdf(self):
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])
