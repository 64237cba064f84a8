"""The report's sections, one a question: what the tables answer, with figure, interval, number of images, how to read.

A section without data is None; `unmeasured` says what it would take.
"""

from shapebias.report.accuracy import cost, melanoma
from shapebias.report.answers import answers, likeness
from shapebias.report.answers_findings import with_people
from shapebias.report.bias import architectures, bias
from shapebias.report.cues import inside, reliance
from shapebias.report.study import Section, Study


def sections(study: Study) -> list[Section]:
    """All sections that have something to say, in the order of a reader's questions."""
    found = [bias(study), architectures(study), cost(study), likeness(study), inside(study), reliance(study)]
    found += [melanoma(study), answers(study)]
    return [section for section in found if section is not None]


def unmeasured(study: Study) -> list[str]:
    """What else can be measured, and what to add to the config for it."""
    tables, told = study.tables, []
    if tables["shape_bias"].empty:
        told.append("Shape bias: a benchmark of kind cue_conflict.")
    if tables["accuracy"].empty:
        told.append("Accuracy: a benchmark of kind in_test, silhouettes, edges or one of the model-vs-human sets.")
    if tables["error_consistency"].empty or with_people(tables["error_consistency"]).empty:
        told.append("Likeness to people: an observer with people's decisions on a benchmark, pooled as people.")
    if tables["read_out"].empty:
        told.append("Where the bias arises: read_out: true at a benchmark of kind cue_conflict.")
    if tables["reliance"].empty:
        told.append("Reliance without conflict: a benchmark of kind suppressed.")
    if tables["melanoma"].empty:
        told.append("Transfer to melanoma: a benchmark of kind melanoma, and regimes that train on it.")
    return told
