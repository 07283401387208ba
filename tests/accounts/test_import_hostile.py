"""Every hostile file: nothing crashes, the good rows come in, each bad one is told with line and reason."""

from pathlib import Path

import pytest

from accounts.ingest.errors import IngestError
from accounts.ingest.load import ImportOptions, import_file, start_import
from accounts.models import ImportRun
from accounts.models.imports import ImportState
from tests.accounts.ingest.hostile import FILES, Hostile


def run_file(file: Hostile, folder: Path) -> ImportRun:
    path = folder / f"file{file.suffix}"
    path.write_bytes(file.make())
    creates = file.kind == "orders" or file.kind == "contracts"
    run = start_import(
        file.kind, file_name=path.name, options=ImportOptions(create_accounts=creates, **file.options)
    )
    return import_file(run, path)


@pytest.mark.django_db
@pytest.mark.parametrize("file", [file for file in FILES if not file.error], ids=lambda file: file.name)
def test_good_rows_come_in_and_bad_ones_are_told(file: Hostile, tmp_path: Path) -> None:
    run = run_file(file, tmp_path)

    assert run.state == ImportState.DONE
    assert run.rows_created + run.rows_unchanged == file.taken
    refused = list(run.rejected.values_list("line_number", "reason"))
    assert [line for line, _ in refused] == [line for line, _ in file.refused]
    for (_, reason), (_, wanted) in zip(refused, file.refused, strict=True):
        assert wanted in reason
    assert run.rows_rejected == len(file.refused)
    assert run.rows_read == run.rows_created + run.rows_changed + run.rows_unchanged + run.rows_rejected


@pytest.mark.django_db
@pytest.mark.parametrize("file", [file for file in FILES if file.error], ids=lambda file: file.name)
def test_unusable_file_is_refused_in_one_sentence(file: Hostile, tmp_path: Path) -> None:
    with pytest.raises(IngestError) as refused:
        run_file(file, tmp_path)

    assert file.error in str(refused.value)
    assert "\n" not in str(refused.value)
    run = ImportRun.objects.get()
    assert (run.state, run.message) == (ImportState.FAILED, str(refused.value))


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 60
    assert len({file.name for file in FILES}) == len(FILES)
