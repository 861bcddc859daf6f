"""`scripts/release-check`."""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from pathlib import Path

import click
from rich.console import Console

from release import lock, versions
from release.building import Built, build_both
from release.checkout import clean_checkout
from release.contents import check_contents
from release.demo import consume, crawl
from release.environment import Environment
from release.image import Image
from release.metadata import check_metadata, invented_addresses
from release.project import ROOT, Project
from release.report import CheckFailed, Report, run
from release.sbom import write_sbom

_SHOWN = ("scrapy", "twisted", "kafka-python", "pymongo", "orjson", "msgspec")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="A folder: packages/ in it is what is published, sbom/ what goes with it.",
)
@click.option("--tag", default="", help="The tag of the release: it must be v and __version__.")
@click.option("--no-tests", is_flag=True, help="Leave out the tests that run from the sdist.")
def main(*, output: Path, tag: str, no_tests: bool) -> None:
    """Build what a release publishes, from the last commit, and check it as its users will find it.

    Ends with 0 only if all is well, and with 1 if a check failed.
    """
    console = Console()
    report = Report(console)
    try:
        packages, sbom = _folders(output.absolute())
    except OSError as error:
        raise click.BadParameter(str(error), param_hint="--output") from error
    with tempfile.TemporaryDirectory(prefix="release-check-") as temporary:
        folder = Path(temporary)
        checkout = clean_checkout(folder / "checkout", report)
        _check_documents(checkout, tag, report)
        both = build_both(checkout, folder / "estela-consumer", packages, report)
        for built in both:
            check_metadata(built, report)
        check_contents(both, checkout.root, report)
        _check_installs(both, folder, sbom, report)
        for target in ("consumer", "crawler"):
            _check_image(checkout, target, folder / f"image-{target}", report)
        if not no_tests:
            _check_tests(both, folder / "unpacked", report)
    if report.failed:
        console.print(f"\n{len(report.failed)} checks failed: {'; '.join(report.failed)}", markup=False)
        sys.exit(1)
    console.print(
        f"\nAll is well. {output}/packages is what a release publishes, {output}/sbom goes with it."
    )


def _folders(output: Path) -> tuple[Path, Path]:
    """The two, without the files of an earlier check."""
    for name, patterns in (("packages", ("*.whl", "*.tar.gz")), ("sbom", ("*.cdx.json",))):
        (output / name).mkdir(parents=True, exist_ok=True)
        for path in (path for pattern in patterns for path in (output / name).glob(pattern)):
            path.unlink()
    return output / "packages", output / "sbom"


def _check_documents(project: Project, tag: str, report: Report) -> None:
    with report.check("version, changelog and tag") as notes:
        try:
            changelog = (project.root / "CHANGELOG.md").read_text(encoding="utf-8")
            notes.append(versions.relation(project.version, changelog, tag))
        except ValueError as error:
            raise CheckFailed(str(error)) from error
    with report.check("no address that does not exist") as notes:
        if found := invented_addresses(project):
            raise CheckFailed("\n".join(found))
        notes.append(
            f"the project's own: {project.url or 'none yet; `url` in [estela:project] of setup.cfg'}"
        )
    with report.check("the locks of the images are made of setup.cfg as it is"):
        if stale := lock.stale(project):
            raise CheckFailed(f"run scripts/lock: {', '.join(stale)}")


def _check_installs(both: list[Built], folder: Path, sbom: Path, report: Report) -> None:
    """Each file into an empty environment, and the first use from there, outside the checkout."""
    crawler = None
    for built in both:
        for kind, path in (("wheel", built.wheel), ("sdist", built.sdist)):
            name = f"{built.project.name}, {kind}"
            environment = installed(path, folder / f"{built.project.name}-{kind}", name, report)
            if environment is None:
                continue
            if "estela-scrapy" in environment.versions():
                crawler = environment
            _check_first_use(crawler, environment, folder / f"{built.project.name}-{kind}-use", name, report)
            if kind == "wheel":
                with report.check(f"{name}: SBOM") as notes:
                    target = sbom / f"{built.project.name}-{built.project.version}.cdx.json"
                    count = write_sbom(environment, built.project.name, target)
                    notes.append(f"{count} components in {target.name}")


def installed(path: Path, folder: Path, name: str, report: Report) -> Environment | None:
    """A new environment with the file and what it needs, or None if that failed."""
    with report.check(f"{name}: into an empty environment") as notes:
        environment = Environment(folder)
        environment.install(path)
        found = environment.versions()
        notes.append(f"{environment.megabytes():.1f} MB in site-packages, {len(found)} distributions")
        notes.append(", ".join(f"{each} {found[each]}" for each in _SHOWN if each in found))
        if "estela-consumer" in found and {"scrapy", "twisted", "itemadapter"} & found.keys():
            raise CheckFailed("Scrapy or a part of it is installed with it")
        return environment
    return None


def _check_first_use(
    crawler: Environment | None, environment: Environment, place: Path, name: str, report: Report
) -> None:
    with report.check(f"{name}: the first use") as notes:
        if crawler is None:
            raise CheckFailed("there is no installed estela-scrapy to crawl with")
        crawl(crawler, place)
        notes.append(consume(environment, place))
        if environment is crawler:
            run([environment.script("estela-scrapy"), "demo"], place)
            notes.append("estela-scrapy demo: all that was scraped is stored")


def _check_image(project: Project, target: str, root: Path, report: Report) -> None:
    with report.check(f"the image {target}: the lines of the Dockerfile, without its base image") as notes:
        image = Image(project.root, target, root)
        image.run(*image.command)
        if image.healthcheck:
            image.run(*image.healthcheck)
        image.run("python", "consumer.py", "--help")
        if target == "crawler":
            notes.append(image.run("scrapy", "version").strip())
        else:
            image.run("python", "-c", "import importlib.util as u; assert not u.find_spec('scrapy')")
            notes.append("without Scrapy")


def _check_tests(both: list[Built], folder: Path, report: Report) -> None:
    for built in both:
        if built.project.name != Project.read(ROOT).name:
            continue
        with report.check("the tests from the sdist: scripts/test --fast") as notes:
            with tarfile.open(built.sdist) as tar:
                tar.extractall(folder, filter="data")
            [unpacked] = folder.iterdir()
            output = run(["bash", "scripts/test", "--fast"], unpacked, {"PYTHON": sys.executable})
            notes.append(output.splitlines()[-1] if output else os.devnull)


if __name__ == "__main__":
    main()
