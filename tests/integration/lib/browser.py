"""A real browser, and pages for it.

    with Pages() as pages, Browser(tmp_path) as browser:
        report = pages.visit(browser, "return location.origin")

A page runs one script, the body of an asynchronous function, and reports what that returns.
"""

import contextlib
import http.server
import itertools
import json
import queue
import shutil
import signal
import subprocess
import threading
import urllib.parse
import urllib.request

from .build import patience, wait_until

PROGRAM = shutil.which("chromium")

# Nothing is fetched that no page asked for. A name for the tests leads to this machine.
_OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--no-default-browser-check", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-default-apps", "--no-proxy-server", "--remote-debugging-port=0"]

# The name of a site of the attacker's, which has come to mean this machine (DNS rebinding).
REBOUND = "rebound.example"

# What every script may use.
_TOOLS = """
async function tried(url, options) {
    try {
        const answer = await fetch(url, options);
        return {type: answer.type, status: answer.status, text: await answer.text(),
                headers: Object.fromEntries(answer.headers)};
    } catch (error) {
        return {error: String(error)};
    }
}
function happened(element, ...names) {
    return new Promise(resolve =>
        names.forEach(name => element.addEventListener(name, () => resolve(name))));
}
function readable(frame) {
    try {
        return frame.contentDocument ? frame.contentDocument.body.innerText : null;
    } catch (error) {
        return null;
    }
}
async function framed(fill) {
    const frame = document.createElement("iframe");
    frame.name = "frame" + document.querySelectorAll("iframe").length;
    document.body.append(frame);
    const loaded = happened(frame, "load");
    fill(frame);
    await loaded;
    return readable(frame);
}
async function posted(url, enctype, fields) {
    return framed(frame => {
        const form = document.createElement("form");
        Object.assign(form, {method: "post", action: url, target: frame.name, enctype: enctype});
        for (const [name, value] of Object.entries(fields)) {
            const input = document.createElement("input");
            Object.assign(input, {type: "hidden", name: name, value: value});
            form.append(input);
        }
        document.body.append(form);
        form.submit();
    });
}
async function included(tag, url) {
    const element = document.createElement(tag);
    const end = happened(element, "load", "error");
    element.src = url;
    document.body.append(element);
    return await end;
}
"""

_PAGE = """<!doctype html><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
<body><script>%(tools)s
const given = %(given)s;
(async () => { %(script)s })().then(
    result => ({result: result === undefined ? null : result}),
    error => ({failed: String(error)})
).then(report => fetch(%(address)s,
                       {method: "POST", mode: "no-cors", body: JSON.stringify(report)}));
</script>"""


class Browser:
    """One headless browser with a profile of its own, as a context manager."""

    def __init__(self, directory):
        self._profile = directory / "profile"
        self._log = directory / "browser.log"

    def __enter__(self):
        argv = [PROGRAM, *_OPTIONS, f"--user-data-dir={self._profile}",
                f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1", "about:blank"]
        with open(self._log, "wb") as log:
            # A session of its own: it starts processes, which are to end with it.
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, start_new_session=True)
        try:
            self._control = f"http://127.0.0.1:{wait_until(self._port, 60.0, 'the browser')}"
        except BaseException:
            self._end(signal.SIGKILL)
            raise
        return self

    def _port(self):
        """That of its control, which it writes to a file when it is ready."""
        code = self._process.poll()
        assert code is None, f"the browser ended with {code}:\n{self._log.read_text()[-4000:]}"
        with contextlib.suppress(OSError):
            lines = (self._profile / "DevToolsActivePort").read_text().splitlines()
            return lines[0] if len(lines) > 1 else None
        return None

    def _end(self, number):
        self._process.send_signal(number)
        self._process.wait(patience(20.0))

    def __exit__(self, *_):
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGKILL)

    def _command(self, method, target):
        request = urllib.request.Request(self._control + target, method=method)
        with urllib.request.urlopen(request, timeout=patience(30.0)) as answer:
            return answer.read()

    @contextlib.contextmanager
    def tab(self, url):
        """Shows url in a new tab, which is closed in the end."""
        target = "/json/new?" + urllib.parse.quote(url, safe=":/?&=%")
        name = json.loads(self._command("PUT", target))["id"]
        try:
            yield
        finally:
            self._command("GET", f"/json/close/{name}")


class Pages:
    """A web server with pages made up by tests, as a context manager."""

    def __init__(self, address="127.0.0.1"):
        self._server = _Server((address, 0), _Handler)
        self._server.pages = self
        self.port = self._server.server_port
        self.origin = f"http://{address}:{self.port}"
        self._numbers = itertools.count(1)
        self._pages = {}  # path -> text
        self._reports = {}  # path -> queue

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def visit(self, browser, script, given=None, origin=None, timeout=60.0):
        """Shows a page that runs script, where `given` is what was given. Returns what the script
        did. origin: another one under which this server is reached."""
        number = next(self._numbers)
        page, report = f"/page/{number}", f"/report/{number}"
        self._pages[page] = _PAGE % {"tools": _TOOLS, "script": script,
                                     "given": json.dumps(given).replace("<", "\\u003c"),
                                     "address": json.dumps(self.origin + report)}
        self._reports[report] = queue.Queue()
        with browser.tab((origin or self.origin) + page):
            try:
                text = self._reports[report].get(timeout=patience(timeout))
            except queue.Empty:
                raise AssertionError(f"the page did not report within {timeout} s") from None
        outcome = json.loads(text)
        assert "failed" not in outcome, f"the page's script failed: {outcome['failed']}"
        return outcome["result"]

    def page(self, path):
        return self._pages.get(path)

    def reported(self, path, text):
        """Whether that is where a page reports to."""
        if path in self._reports:
            self._reports[path].put(text)
        return path in self._reports


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(http.server.BaseHTTPRequestHandler):
    """A connection for each request."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        page = self.server.pages.page(self.path)
        self._reply(200 if page else 404, page or "no such page")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.server.pages.reported(self.path, body)
        self._reply(200 if known else 404, "")

    def _reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
