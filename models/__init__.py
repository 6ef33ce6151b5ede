"""The networks of the published adapters, under the parameter names of the published files."""
