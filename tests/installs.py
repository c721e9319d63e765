"""Distributions put onto sys.path: entry points, modules and metadata."""

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
SAMPLER = "from families import None_, Fixed\nclass {name}(Fixed): pass\n"


def write(folder, name, points, modules=None, metadata=METADATA):
    """Write a distribution into a folder, as an installer would."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    if metadata is not None:
        (info / "METADATA").write_bytes(metadata.format(name=name).encode("latin-1"))
    (info / "entry_points.txt").write_bytes(points.encode("latin-1"))
    for module, text in (modules or {}).items():
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
