"""`run.py dev texts`: the English texts of the interface, from the nodes' schemas, and what follows from them."""

from __future__ import annotations

from ..cache import make_cache
from ..host import prepare_host
from ..interface_texts import ENGLISH, as_file, english_texts, help_copies
from ..serving import running_server
from .command import Call, Command


def run(call: Call) -> int:
    """Write the files anew; 0."""
    cache = make_cache()
    host = prepare_host(call.root, cache, call.status)
    with running_server(host, call.root, cache, call.status) as server:
        texts = english_texts(server.object_info())
    for path, content in {call.root / ENGLISH: as_file(texts), **help_copies(call.root)}.items():
        path.write_text(content, encoding="utf-8", newline="\n")
    call.status.say(f"{ENGLISH}: {len(texts)} nodes. The other languages are written by hand beside it.")
    return 0


COMMAND = Command(
    name="texts",
    summary="write locales/en from the nodes' schemas",
    description="Start ComfyUI with the pack and write the names, descriptions and tooltips of its nodes to "
    "locales/en/nodeDefs.json, the original of the translations beside it. Copies the English help pages to the names "
    "where other languages find them. Tests keep both equal to their originals.",
    run=run,
    needs="tests",
)
