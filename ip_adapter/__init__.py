"""The core of IP-Adapter Nodes: from adapter files and reference pictures to patches of a model's attention."""
