"""The Python examples of the documentation, run one after the other, their output compared."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Simulator

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "docs/guide/storage-modes.md",
    "docs/python/index.md",
    "docs/python/notebook.md",
    "docs/python/questions.md",
    "docs/python/storage-engine.md",
    "docs/python/workspace.md",
    "python/README.md",
]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_examples_of_a_document_work(
    name: str, credentials: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / name).read_text(encoding="utf-8")
    space: dict[str, object] = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(text))
    assert blocks, f"{name} has no examples"
    for block in blocks:
        line = text[: block.start()].count("\n") + 1
        if block[1] == "python":
            exec(compile("\n" * line + block[2], str(ROOT / name), "exec"), space)
            continue
        example = doctest.DocTestParser().get_doctest(block[2], space, name, str(ROOT / name), line)
        report: list[str] = []
        doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=report.append, clear_globs=False)
        space.update(example.globs)
        assert not report, "".join(report)
