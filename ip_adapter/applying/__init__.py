"""Do model, adapter and prompt fit, who sees which picture when: the plan of an application, made without a host."""
