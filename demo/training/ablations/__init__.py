"""The paper's ablations on the demo world: equal steps, equal data, several seeds, held-out cases."""
