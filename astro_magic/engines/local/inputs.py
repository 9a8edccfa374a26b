"""What an environment is made from: the files of the project that say so, kept with it, and brought back."""

from __future__ import annotations

from collections.abc import Mapping

from astro_magic.engines.local.database.chosen import with_drivers
from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.document import Document
from astro_magic.project.project import Project
from astro_magic.project.recipes.sources import SourcesFile
from astro_magic.resolve.resolver import requirements_key

__all__ = ["IMAGE", "inputs_key", "plan_inputs", "read_inputs"]

#: Among the inputs, the name of the Dockerfile's image, which cannot be the name of a file.
IMAGE = "//image"


def inputs_key(project: Project) -> str:
    """Name everything that an environment is made from, so that nothing is resolved again while it is the same."""
    runtime = project.runtime
    sources = "".join(f"{index.name} {index.url}\n" for index in SourcesFile(project).sources().indexes)
    public = with_drivers(project, project.requirements.text())
    asked = f"{runtime}\n{sources}{public}{project.private_requirements.text()}"
    return requirements_key(asked, folder=project.root, python=runtime.python)


def read_inputs(project: Project) -> dict[str, str | None]:
    """Read the files that an environment is made from, and the Dockerfile's image; None for what does not exist.

    Of the Dockerfile only the image means something to local processes.
    """
    contents = {document.name: document.read() for document in _documents(project)}
    texts = {
        name: None if content is None else content.decode("utf-8", "surrogateescape")
        for name, content in contents.items()
    }
    return {**texts, IMAGE: project.runtime.image}


def plan_inputs(project: Project, inputs: Mapping[str, str | None], title: str) -> Change:
    """Plan that the project's files are again what an environment was made from.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When the Dockerfile has no stage whose image could be set.
    """
    changes = []
    for name, text in inputs.items():
        if name != IMAGE:
            document = Document(project, name)
            after = None if text is None else text.encode("utf-8", "surrogateescape")
            changes.append(FileChange(document.path, name, document.read(), after))
    image = inputs.get(IMAGE)
    if image and _image_of(project) != image:
        changes += project.dockerfile.plan_set_base(image).files
    return Change(title, tuple(change for change in changes if change.kind != "unchanged"))


def _documents(project: Project) -> tuple[Document, ...]:
    return (*project.requirement_files(), SourcesFile(project))


def _image_of(project: Project) -> str:
    try:
        return project.runtime.image
    except InvalidContentError:
        return ""
