"""Magics of what a project's image needs from private places: repositories, indexes, certificates, and build steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import AstroMagicError, InvalidContentError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.editing import EditingMagics
from astro_magic.system.secrets import mask_credentials
from astro_magic.views import ChangeView, EntriesView

if TYPE_CHECKING:
    from astro_magic.private.hosts import HostKeyChoice
    from astro_magic.project.changes import Change
    from astro_magic.project.project import Project
    from astro_magic.project.recipes.repository import Repository
    from astro_magic.project.recipes.sources import PackageIndex, SshAccess
    from astro_magic.resolve.resolver import Resolution

__all__ = ["PrivateMagics"]

_NO_CHECK = argument("--no-check", action="store_true", help="Write the files without asking the server.")
_REMOVE = argument("--remove", action="store_true", help="Take out what is named, and the steps with the last one.")


@magics_class
class PrivateMagics(EditingMagics):
    """Magics of private packages, certificates and build steps."""

    @command(
        argument("urls", nargs="*", metavar="URL", help="git+ssh://git@github.com/org/repo.git@v1, git@host:org/repo."),
        argument(
            "--key",
            metavar="FILE",
            help="A path from the project; default: the agent's, else one in ~/.ssh.",
        ),
        argument("--agent", action="store_true", help="Take the key that the SSH agent has."),
        argument("--id", default="", metavar="NAME", help="The key's name in builds, for a second key on one host."),
        argument("--host-key", default="auto", metavar="FINGERPRINT", help="The host's key, as SHA256:...; or auto."),
        _NO_CHECK,
        _REMOVE,
        output=True,
        dry_run=True,
    )
    def astro_private_git(self, arguments: Arguments) -> ChangeView | EntriesView:
        """Install packages from private git repositories, over SSH.

        Writes private-requirements.txt, the keys by which the host is known, and the steps of the Dockerfile. A build
        is given the SSH key while the packages are installed; it is in no image. Without a URL, list the repositories.
        """
        from astro_magic.project.recipes.recipes import plan_git, plan_without_git
        from astro_magic.project.recipes.repository import parse_repository

        project = self.session.project(arguments)
        if arguments.key and arguments.agent:
            raise UsageError("--key and --agent exclude each other.")
        repositories = [parse_repository(url) for url in arguments.urls]
        if not repositories:
            if arguments.remove or arguments.key or arguments.agent:
                raise UsageError("Name the repositories: %astro_private_git git@github.com:org/repo.git")
            return _listed_repositories(project)
        if arguments.remove:
            return self.edit(arguments, project, lambda: plan_without_git(project, repositories))
        access, host_keys = self._key_for(arguments, project, repositories)
        notes = [_about_host_keys(access, host_keys)]
        if not arguments.no_check:
            notes += self._check_repositories(arguments, project, repositories, access, host_keys)
        lines = [key.line for key in host_keys.keys]
        return self._edit_and_resolve(
            arguments, project, lambda: plan_git(project, repositories, access, lines), notes=notes
        )

    @command(
        argument("url", nargs="?", default="", metavar="URL", help="Of the index's simple API, without a login."),
        argument("--name", default="", help="Lower-case letters, digits and -; default: after the host."),
        argument("--user", default="", metavar="NAME", help="The user's name."),
        argument("--user-from-env", default="", metavar="VARIABLE", help="The variable that has the user's name."),
        argument("--password-from-env", default="", metavar="VARIABLE", help="The variable that has the password."),
        argument("--password-prompt", action="store_true", help="Ask for it; the keyring or this kernel keeps it."),
        argument("--keyring", default="", metavar="ENTRY", help="The entry of the keyring that has the password."),
        argument("--only", nargs="+", default=[], metavar="PACKAGE", help="Take these packages from this index alone."),
        _NO_CHECK,
        _REMOVE,
        output=True,
        dry_run=True,
    )
    def astro_private_index(self, arguments: Arguments) -> ChangeView | EntriesView:
        """Install packages from a private index as well.

        Writes the steps of the Dockerfile. A build is given the login while packages are installed; it is in no image,
        no history and no label. The checks of %%requirements and the local engine use the same login. Without a URL,
        list the indexes; with --remove, name one.
        """
        from astro_magic.project.recipes.recipes import plan_index, plan_without_index

        project = self.session.project(arguments)
        if arguments.remove:
            name = _name_of(project, arguments.name or arguments.url)
            return self.edit(arguments, project, lambda: plan_without_index(project, name))
        if not arguments.url:
            return _listed_indexes(project)
        index = self._index(arguments, project)
        notes = [] if arguments.no_check else self._check_index(arguments, project, index)
        return self._edit_and_resolve(arguments, project, lambda: plan_index(project, index), notes=notes)

    @command(
        argument("files", nargs="*", metavar="FILE", help="Certificates, PEM or DER; paths from the project."),
        argument("--company", default="company", metavar="NAME", help="Whose they are: the name of their folder."),
        _REMOVE,
        output=True,
        dry_run=True,
    )
    def astro_ca_cert(self, arguments: Arguments) -> ChangeView | EntriesView:
        """Trust certificate authorities, in the image and on the local engine.

        Copies the certificates into the project and writes the steps of the Dockerfile. Without a file, list them.
        """
        from astro_magic.private.certificates import read_authorities
        from astro_magic.project.recipes.recipes import plan_certificates, plan_without_certificates

        project = self.session.project(arguments)
        if not arguments.files:
            if arguments.remove:
                raise UsageError("Name the certificates; %astro_ca_cert lists them.")
            return _listed_certificates(project)
        if arguments.remove:
            return self.edit(arguments, project, lambda: plan_without_certificates(project, arguments.files))
        found: dict[str, bytes] = {}
        notes = []
        for file in arguments.files:
            path = project.root / Path(file).expanduser()
            for number, each in enumerate(read_authorities(path), start=1):
                stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-.") or "authority"
                name = stem if number == 1 else f"{stem}-{number}"
                found[name] = each.pem
                notes.append(f"{each.subject}, until {each.not_after:%Y-%m-%d}.")
        view = self.edit(arguments, project, lambda: plan_certificates(project, arguments.company, found))
        view.notes = notes
        return view

    @command(
        argument("--root", action="store_true", help="Run it as root."),
        _REMOVE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
        rest="line",
    )
    def astro_run_on_build(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Run commands when the image is built, behind all other steps.

        As a line magic, one command, options first; as a cell magic, one command a line. Without a command, list them;
        with --remove, take the named ones out, or all.
        """
        from astro_magic.project.recipes.recipes import plan_commands, plan_without_commands

        project = self.session.project(arguments)
        if cell is not None and arguments.line:
            raise UsageError("Write the commands into the cell; the line takes only options.")
        lines = cell.splitlines() if cell is not None else [arguments.line]
        commands = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if arguments.remove:
            return self.edit(arguments, project, lambda: plan_without_commands(project, commands))
        if not commands:
            return _listed_commands(project)
        return self.edit(arguments, project, lambda: plan_commands(project, commands, root=arguments.root))

    # -- repositories --------------------------------------------------------------------------------------------

    def _key_for(
        self, arguments: Arguments, project: Project, repositories: Sequence[Repository]
    ) -> tuple[SshAccess, HostKeyChoice]:
        """Give the key for the repositories, and the keys of their host; a person is asked about unknown ones."""
        from astro_magic.private.adding import choose_access, choose_host_keys

        access = choose_access(project, repositories, key=arguments.key, agent=arguments.agent, name=arguments.id)
        choice = choose_host_keys(project, access, wanted=arguments.host_key)
        if choice.source != "scanned":
            return access, choice
        shown = ", ".join(f"{key.fingerprint} ({key.kind})" for key in choice.keys)
        answer = self.session.confirm(f"{access.known_as} shows the key {shown}. Is that the host that you mean?")
        if not answer:
            why = "was not confirmed" if answer is False else "has to be confirmed, and nobody can be asked here"
            first = choice.keys[0].fingerprint
            raise InvalidContentError(
                f"The key of {access.known_as} {why}: {shown}.",
                hint=f"Compare it with what its administrator says; then write --host-key {first}.",
            )
        return access, choice

    def _check_repositories(
        self,
        arguments: Arguments,
        project: Project,
        repositories: Sequence[Repository],
        access: SshAccess,
        host_keys: HostKeyChoice,
    ) -> list[str]:
        from astro_magic.private.adding import check_repositories
        from astro_magic.system.events import run

        with self.session.progress(arguments, "Reading the repositories") as progress:
            found = run(check_repositories(project, repositories, access, host_keys.keys), progress)
        return [f"{each.repository.shown} is {each.package}, at {each.commit[:7]}." for each in found]

    # -- indexes -------------------------------------------------------------------------------------------------

    def _index(self, arguments: Arguments, project: Project) -> PackageIndex:
        """Give the index that the options describe; what they leave out stays as the project has it."""
        from astro_magic.private.indexes import checked_url
        from astro_magic.private.logins import keep_password
        from astro_magic.project.recipes.sources import PackageIndex, SourcesFile, index_name
        from astro_magic.system import keyrings

        url = checked_url(arguments.url)
        sources = SourcesFile(project).sources()
        of_url = next((each for each in sources.indexes if each.url == url), None)
        name = arguments.name or (of_url.name if of_url is not None else index_name(url))
        before = sources.index(name)
        if arguments.user and arguments.user_from_env:
            raise UsageError("--user and --user-from-env exclude each other.")
        given = [bool(arguments.password_from_env), arguments.password_prompt, bool(arguments.keyring)]
        if sum(given) > 1:
            raise UsageError("--password-from-env, --password-prompt and --keyring exclude each other.")
        user = f"env:{arguments.user_from_env}" if arguments.user_from_env else arguments.user
        password = ""
        if arguments.password_from_env:
            password = f"env:{arguments.password_from_env}"
        elif arguments.keyring:
            password = keyrings.reference(arguments.keyring)
            if not keyrings.has(arguments.keyring):
                keyrings.keep(arguments.keyring, self._asked(name))
        elif arguments.password_prompt:
            password = keep_password(name, self._asked(name))
        if before is not None:
            user, password = user or before.user, password or before.password
        if password and not user:
            raise UsageError("A password goes with --user NAME or --user-from-env VARIABLE.")
        return PackageIndex(name, url, user, password, _canonical(arguments.only) or _only(before))

    def _asked(self, name: str) -> str:
        value = self.session.ask_secret(f"password of the index {name}")
        if value is None:
            raise UsageError("Nobody can be asked for the password here: use --password-from-env VARIABLE.")
        return value

    def _check_index(self, arguments: Arguments, project: Project, index: PackageIndex) -> list[str]:
        from astro_magic.private.adding import check_private_index
        from astro_magic.system.events import run

        with self.session.progress(arguments, "Reading the index") as progress:
            found = run(check_private_index(project, index), progress)
        if not found.on_both:
            return []
        names = " ".join(found.on_both)
        return [
            f"On the public index as well, so that pip takes the newest of both: {', '.join(found.on_both)}.",
            f"From {index.name} alone: %astro_private_index {index.url} --only {names}",
        ]

    # -- shared --------------------------------------------------------------------------------------------------

    def _edit_and_resolve(
        self, arguments: Arguments, project: Project, plan: Callable[[], Change], *, notes: Sequence[str]
    ) -> ChangeView:
        """Write a change, and find out what the requirements resolve to with it."""
        change = project.edit(plan, dry_run=arguments.dry_run)
        resolution, note = self._resolution(arguments, project) if change.applied else (None, "")
        told = [*notes, *_about_image(change), *([note] if note else [])]
        return self.show_change(arguments, change, resolution=resolution, notes=told)

    def _resolution(self, arguments: Arguments, project: Project) -> tuple[Resolution | None, str]:
        if arguments.no_check:
            return None, ""
        try:
            with self.session.progress(arguments, "Checking the requirements") as progress:
                environment = self.session.environment(arguments)
                return environment.check_requirements(project.requirements.text(), listener=progress), ""
        except AstroMagicError as error:
            return None, f"Not checked: {error.message}"


def _about_host_keys(access: SshAccess, choice: HostKeyChoice) -> str:
    said = {
        "published": "the one that it publishes",
        "known": "known already",
        "scanned": "confirmed",
        "given": "the one that was given",
    }[choice.source]
    return f"Key of {access.known_as}: {choice.keys[0].fingerprint}, {said}."


def _about_image(change: Change) -> list[str]:
    """Say so when the image became the distribution that installs nothing by itself."""
    file = next((each for each in change.files if each.name == "Dockerfile"), None)
    if file is None or file.before is None or file.after is None:
        return []
    from astro_magic.project.dockerfile.dockerfile import base_image

    before, after = (base_image(text.decode()).image for text in (file.before, file.after))
    if before == after:
        return []
    return [f"The image is {after} now: the default one installs requirements.txt before it can know of an index."]


def _listed_repositories(project: Project) -> EntriesView:
    from astro_magic.project.recipes.sources import SourcesFile

    keys = {key.alias or key.host: key for key in SourcesFile(project).sources().keys}
    rows = []
    for each in project.private_requirements.repositories():
        key = keys.get(each.host)
        rows.append((each.shown, each.subdirectory, key.key if key is not None else "", key.id if key else ""))
    return EntriesView("private-requirements.txt", ("repository", "folder", "key", "id"), rows, "repository")


def _listed_indexes(project: Project) -> EntriesView:
    from astro_magic.project.recipes.sources import SourcesFile

    indexes = SourcesFile(project).sources().indexes
    rows = [(each.name, each.url, each.user, each.password, ", ".join(each.only)) for each in indexes]
    return EntriesView("private indexes", ("index", "address", "user", "password", "only"), rows, "index")


def _listed_certificates(project: Project) -> EntriesView:
    from astro_magic.private.certificates import read_authorities
    from astro_magic.project.recipes.files import AUTHORITIES

    rows = []
    for path in sorted((project.root / AUTHORITIES).rglob("*.crt")):
        name = path.relative_to(project.root).as_posix()
        try:
            rows += [(name, each.subject, f"{each.not_after:%Y-%m-%d}") for each in read_authorities(path)]
        except AstroMagicError as problem:
            rows.append((name, problem.message, ""))
    return EntriesView("certificates", ("file", "authority", "until"), rows, "certificate")


def _listed_commands(project: Project) -> EntriesView:
    from astro_magic.project.recipes.blocks import COMMANDS

    entries = [each for each in project.dockerfile.entries() if each.block == COMMANDS and each.keyword == "RUN"]
    rows = [(mask_credentials(each.arguments.strip()), str(each.line)) for each in entries]
    return EntriesView("run on build", ("command", "line"), rows, "command")


def _name_of(project: Project, given: str) -> str:
    """Give the name of an index that is named by its name or its address."""
    from astro_magic.project.recipes.sources import SourcesFile

    if not given:
        raise UsageError("Name the index: %astro_private_index --remove NAME")
    return next((each.name for each in SourcesFile(project).sources().indexes if each.url == given), given)


def _canonical(names: Sequence[str]) -> tuple[str, ...]:
    from packaging.utils import canonicalize_name

    return tuple(dict.fromkeys(canonicalize_name(name) for name in names))


def _only(before: PackageIndex | None) -> tuple[str, ...]:
    return before.only if before is not None else ()
