"""A server that has worked for long: what it holds in memory, and what it draws."""

import psutil
from ip_adapter_nodes.launcher.client import pictures

PROMPTS, WARM = 100, 20
WEIGHTS = [0.3 + 0.07 * n for n in range(10)]
SMALL = {"EmptyLatentImage.width": 64, "EmptyLatentImage.height": 64, "KSampler.steps": 2}


def held(process):
    """Bytes of a process but for those of files, which the system drops from memory when that is short."""
    facts = process.memory_full_info()
    return facts.rss - getattr(facts, "shared", 0) + getattr(facts, "swap", 0)  # where the system tells


def test_a_hundred_prompts_leave_the_memory_flat_and_equal_ones_are_equal(server, demo_graph):
    process = psutil.Process(server._process.pid)
    graphs = [demo_graph("01_first_image_prompt", **SMALL, **{"ApplyIPAdapter.weight": weight}) for weight in WEIGHTS]
    queued = [server.queue(graphs[n % len(graphs)]) for n in range(PROMPTS)]
    memory, drawn = [], []
    for prompt in queued:
        entry = server.wait(prompt)
        memory.append(held(process))
        drawn.append([server.fetch(picture) for picture in pictures(entry) if picture.kind == "output"])
    settled = memory[WARM:]
    assert max(settled) <= 1.02 * settled[0], memory
    assert min(settled) >= 0.98 * settled[0], memory
    assert all(data == drawn[n % len(graphs)] for n, data in enumerate(drawn))
    assert len({data[0] for data in drawn}) == len(graphs)
