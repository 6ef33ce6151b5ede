"""A host made of the standard library alone: it answers like ComfyUI, at once."""

from pathlib import Path

MAIN = """
import argparse, json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
for option in ("--listen", "--base-directory", "--database-url"):
    parser.add_argument(option)
parser.add_argument("--port", type=int)
for option in ("--cpu", "--disable-auto-launch", "--fail"):
    parser.add_argument(option, action="store_true")
options = parser.parse_args()
if options.fail:
    sys.exit("the fake host was told to fail")

HISTORY = {}
ERROR = {"node_id": "3", "node_type": "Broken", "exception_type": "ValueError", "exception_message": "no good"}


def history_of(graph):
    kinds = {node["class_type"] for node in graph.values()}
    if "Broken" in kinds:
        return {"status": {"status_str": "error", "messages": [["execution_error", ERROR]]}, "outputs": {}}
    image = {"filename": "a b.png", "subfolder": "sub", "type": "output"}
    return {"status": {"status_str": "success", "messages": []}, "outputs": {"9": {"images": [image]}}}


class Handler(BaseHTTPRequestHandler):
    def answer(self, value, code=200):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/history/"):
            name = self.path.rsplit("/", 1)[1]
            self.answer({name: HISTORY[name]} if name in HISTORY else {})
        elif self.path.startswith("/view?"):
            self.answer(self.path.encode())
        else:
            answers = {"/system_stats": {"system": {"argv": sys.argv}}, "/object_info": {}}
            self.answer(answers.get(self.path, {"queue_running": [], "queue_pending": []}))

    def do_POST(self):
        graph = json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("prompt")
        if any(node["class_type"] == "Refused" for node in graph.values()):
            errors = [{"message": "Value not in list", "details": "file: 'x' not in []"}]
            node_errors = {"3": {"class_type": "Refused", "errors": errors}}
            self.answer({"error": {"message": "Prompt outputs failed validation"}, "node_errors": node_errors}, 400)
            return
        name = f"prompt-{len(HISTORY)}"
        HISTORY[name] = history_of(graph)
        self.answer({"prompt_id": name})

    def log_message(self, *_):
        pass


print("base directory:", options.base_directory)
ThreadingHTTPServer((options.listen, options.port), Handler).serve_forever()
"""

OPTIONS = """
args_parsing = False


def enable_args_parsing():
    global args_parsing
    args_parsing = True
"""

ARGUMENTS = """
import sys
from comfy.options import args_parsing

args = sys.argv[1:] if args_parsing else None
"""

# What the bootstrap imports from a host, and a `nodes.py` that ours must not shadow.
MODULES = {
    "comfy/__init__.py": "",
    "comfy/model_patcher.py": "",
    "comfy/options.py": OPTIONS,
    "comfy/cli_args.py": ARGUMENTS,
    "folder_paths.py": "",
    "nodes.py": "OWNER = 'host'\n",
    "main.py": MAIN,
}


def make_host(folder: Path) -> Path:
    """Write the fake host to `folder`."""
    for name, text in MODULES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
