"""The image of a project: its ``Dockerfile``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change, split_lines
from astro_magic.project.dockerfile.cell import (
    check_inside_block,
    check_name,
    quoted,
    read_cell,
    suggestion,
    whole_file,
)
from astro_magic.project.dockerfile.edit import DockerfileEdit
from astro_magic.project.dockerfile.images import BaseImage, base_of
from astro_magic.project.dockerfile.lines import DockerfileEntry, parse
from astro_magic.project.dockerfile.merge import KEYED, merge, take_out
from astro_magic.project.document import Document
from astro_magic.system.secrets import mask_credentials

__all__ = ["BaseImage", "Block", "Dockerfile", "DockerfileEntry", "base_image", "instructions"]


@dataclass(frozen=True)
class Block:
    """A part of a Dockerfile between two comments, ``# >>> NAME`` and ``# <<< NAME``, that can be found again.

    Attributes
    ----------
    name : str
        Its name.
    line : int
        The line of the comment that begins it, counted from 1.
    length : int
        How many lines it has, with both comments.
    text : str
        What stands between the comments.
    """

    name: str
    line: int
    length: int
    text: str


class Dockerfile(Document):
    """A Dockerfile. Lines that an edit is not about stay byte for byte what they were."""

    def entries(self) -> tuple[DockerfileEntry, ...]:
        """Read the file; the entries cover all of its lines.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return tuple(parse(self.lines()))

    def blocks(self) -> Mapping[str, Block]:
        """Read the managed blocks, by their names.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text, or a block is not begun and ended once; the line is named.
        """
        content = self._content(self.read())
        edit = DockerfileEdit(content.lines, content.line_end)
        found = {}
        for part in edit.parts:
            name = part.entry.block
            place = edit.block(name) if name and name not in found else None
            if place is not None:
                inside = edit.parts[place[0] + 1 : place[1]]
                first, last = edit.parts[place[0]].entry.line, edit.parts[place[1]].entry.line
                text = "\n".join(part.entry.raw for part in inside)
                found[name] = Block(name, first, last - first + 1, text)
        edit.block("")
        return found

    def plan_merge(self, text: str, *, replace: bool = False, block: str | None = None) -> Change:
        """Plan to bring instructions into the last stage.

        ``FROM`` changes the image; keys of ``ENV``, ``LABEL`` and ``ARG`` get their value where they are set already;
        other instructions are appended, unless they are there. A comment above an instruction goes where that goes.

        - A value that refers to its own key, such as ``PATH=/a:$PATH``, is appended, unless it is there.
        - An instruction behind ``USER``, ``WORKDIR`` or ``SHELL`` is there only when it stands behind the same ones.
          These are written again where they would not hold otherwise.
        - An ``ARG`` that is declared only above the first ``FROM`` is changed there.

        Parameters
        ----------
        text : str
            Instructions.
        replace : bool, optional
            Make the file, or the block, exactly this text instead.
        block : str, optional
            Bring them into this managed block, which is made when it is not there.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When a line is no instruction, or the file has no stage, or the builder would read the result otherwise.
        """
        if block is not None:
            return self._plan_into_block(block, text, replace=replace)
        if replace:
            return Change(f"replace {self.name}", (self.plan_write(whole_file(text)),))

        def bring(edit: DockerfileEdit) -> None:
            fresh = not any(part.entry.kind == "instruction" for part in edit.parts)
            cell = read_cell(text, escape=None) if fresh else _cell(edit, text)
            stages = sum(entry.keyword == "FROM" for entry in cell)
            if fresh and stages:
                edit.append(edit.make(whole_file(text).split("\n")), below=None)
                return
            if stages > 1:
                raise InvalidContentError(
                    f"The cell has {stages} FROM lines, so it is a whole Dockerfile, not a part of one.",
                    hint="Replace the file with it: %%astro_dockerfile --replace.",
                )
            merge(edit, cell)

        return self.plan_edit(f"merge into {self.name}", bring)

    def plan_add(self, *instructions: str, block: str | None = None) -> Change:
        """Plan to bring instructions in: `plan_merge` of their lines.

        Parameters
        ----------
        *instructions : str
            Such as ``RUN ls``.
        block : str, optional
            The managed block that they belong to.

        Raises
        ------
        ProjectError
            As `plan_merge`.
        """
        return self.plan_merge("\n".join(instructions), block=block)

    def plan_set(self, keyword: str, values: Mapping[str, str]) -> Change:
        """Plan to set keys of ``ENV``, ``LABEL`` or ``ARG`` in the last stage.

        Parameters
        ----------
        keyword : str
            Which of the three.
        values : Mapping of str to str
            Values by key. They are quoted where they have to be; ``$NAME`` in them refers to a variable.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When a key is none, or a value has several lines.
        """
        keyword = keyword.upper()
        if keyword not in KEYED:
            raise InvalidContentError(
                f"{keyword} has no keys that could be set.", hint=f"Only {', '.join(KEYED)} have; use add for others."
            )

        def bring(edit: DockerfileEdit) -> None:
            lines = [f"{keyword} {quoted(keyword, key, value, edit.escape)}" for key, value in values.items()]
            merge(edit, _cell(edit, "\n".join(lines)))

        return self.plan_edit(f"set in {self.name}", bring)

    def plan_set_base(self, image: str) -> Change:
        """Plan that the last stage builds on another image.

        Where the ``FROM`` takes its image from an ``ARG``, and its default is all that differs, that is changed.

        Parameters
        ----------
        image : str
            Such as ``astrocrpublic.azurecr.io/runtime:3.3-1``.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When this is no image, or the file has no ``FROM``.
        """
        if len(image.split()) != 1 or image.startswith(("-", ":")) or image.endswith(":"):
            raise InvalidContentError(
                f"{mask_credentials(image)!r} is no image.", hint="Name it with its tag: apache/airflow:3.3.2."
            )
        return self.plan_merge(f"FROM {image.strip()}")

    def plan_remove(self, keyword: str, *keys: str) -> Change:
        """Plan to remove instructions, in all stages.

        Parameters
        ----------
        keyword : str
            Such as ``ENV`` or ``RUN``.
        *keys : str
            Of ``ENV``, ``LABEL`` and ``ARG`` the keys, of others what stands behind the keyword.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When the file does not have one of them, or it is a ``FROM``.
        """
        keyword = keyword.upper()
        if keyword == "FROM":
            raise InvalidContentError(
                "A FROM cannot be removed, since a stage begins with it.", hint="Name another image instead."
            )

        def drop(edit: DockerfileEdit) -> None:
            for key in keys:
                take_out(edit, keyword, key)

        return self.plan_edit(f"remove from {self.name}", drop)

    def plan_block(self, name: str, text: str) -> Change:
        """Plan that a managed block holds these lines; an empty text changes nothing.

        A block that is not there is put below the last instruction, with a blank line above.

        Parameters
        ----------
        name : str
            Letters, digits, ``-`` and ``_``.
        text : str
            Its lines.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When a line is no instruction, or is a ``FROM`` or the mark of a block, or the file has no stage.
        """
        check_name(name)

        def put(edit: DockerfileEdit) -> None:
            cell = _cell(edit, text.strip("\r\n"))
            check_inside_block(cell, name)
            if any(entry.kind != "blank" for entry in cell):
                edit.put_block(name, [line for entry in cell for line in entry.raw.split("\n")])

        return self.plan_edit(f"set block {name} in {self.name}", put)

    def plan_remove_block(self, name: str) -> Change:
        """Plan to remove a managed block, with the blank line above it.

        Parameters
        ----------
        name : str
            The block.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When there is no such block, or the blocks of the file cannot be told.
        """

        def drop(edit: DockerfileEdit) -> None:
            if not edit.remove_block(name):
                known = sorted({part.entry.block for part in edit.parts if part.entry.block})
                raise InvalidContentError(f"{self.name} has no block {name}.", hint=suggestion(name, known))

        return self.plan_edit(f"remove block {name} from {self.name}", drop)

    def add(self, *instructions: str, block: str | None = None, dry_run: bool = False) -> Change:
        """Bring instructions in: `plan_add` and `Project.apply` in one.

        Parameters
        ----------
        *instructions : str
            Such as ``RUN ls``.
        block : str, optional
            The managed block that they belong to.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_add` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_add(*instructions, block=block), dry_run=dry_run)

    def set(self, keyword: str, values: Mapping[str, str], *, dry_run: bool = False) -> Change:
        """Set keys: `plan_set` and `Project.apply` in one.

        Parameters
        ----------
        keyword : str
            ``ENV``, ``LABEL`` or ``ARG``.
        values : Mapping of str to str
            Values by key.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_set` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_set(keyword, values), dry_run=dry_run)

    def set_base(self, image: str, *, dry_run: bool = False) -> Change:
        """Build on another image: `plan_set_base` and `Project.apply` in one.

        Parameters
        ----------
        image : str
            The image with its tag.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_set_base` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_set_base(image), dry_run=dry_run)

    def remove(self, keyword: str, *keys: str, dry_run: bool = False) -> Change:
        """Remove instructions: `plan_remove` and `Project.apply` in one.

        Parameters
        ----------
        keyword : str
            Such as ``ENV`` or ``RUN``.
        *keys : str
            As for `plan_remove`.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_remove` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_remove(keyword, *keys), dry_run=dry_run)

    def plan_edit(self, title: str, edit: Callable[[DockerfileEdit], object]) -> Change:
        """Plan what a function does to the lines.

        Parameters
        ----------
        title : str
            What the change is called.
        edit : callable
            Edits the lines.

        Raises
        ------
        ProjectError
            When the file cannot be read, and what `edit` raises.
        """
        before = self.read()
        content = self._content(before)
        work = DockerfileEdit(content.lines, content.line_end)
        edit(work)
        return Change(title, (self._plan_lines(before, content, work.lines()),))

    def _plan_into_block(self, name: str, text: str, *, replace: bool) -> Change:
        check_name(name)
        content = self._content(self.read())
        known = DockerfileEdit(content.lines, content.line_end).block(name) is not None
        if replace or not known:
            return self.plan_block(name, text)

        def bring(edit: DockerfileEdit) -> None:
            cell = _cell(edit, text)
            check_inside_block(cell, name)
            merge(edit, cell, block=name)

        return self.plan_edit(f"merge into block {name} of {self.name}", bring)


def instructions(text: str) -> list[DockerfileEntry]:
    """Take a Dockerfile apart. Comments and blank lines are left out; here-documents belong to their instruction."""
    return [entry for entry in _parse(text) if entry.keyword]


def base_image(text: str) -> BaseImage:
    """Find the image that the last stage builds on, through earlier stages and ``ARG`` defaults.

    Parameters
    ----------
    text : str
        The content of the Dockerfile.

    Raises
    ------
    InvalidContentError
        When there is no ``FROM``, or it names no image.
    """
    return base_of(_parse(text))


def _cell(edit: DockerfileEdit, text: str) -> list[DockerfileEntry]:
    return read_cell(text, escape=edit.escape, other_frontend=edit.other_frontend)


def _parse(text: str) -> list[DockerfileEntry]:
    return parse([line.rstrip("\r\n") for line in split_lines(text.removeprefix("\ufeff"))])
