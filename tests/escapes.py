"""Thirteen kinds of names that lead out of a folder, or try to."""

ESCAPES = (
    "../model.safetensors",
    "..",
    "/etc/passwd",
    "~/model.safetensors",
    "a/../../b.safetensors",
    "..\\model.safetensors",
    "C:\\model.safetensors",
    "\\\\host\\share\\model.safetensors",
    "https://example.com/model.safetensors",
    "file:///etc/passwd",
    "%2e%2e%2fmodel.safetensors",
    "model.safetensors\x00.txt",
    "\uff0e\uff0e/model.safetensors",
)
