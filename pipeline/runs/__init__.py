"""Driving a run: in one process (`ratchet run`) or in steps (`ratchet runs …`, as Airflow does).

opening, in_one_process, steps      how a run begins, and the two ways of driving it
preflight, freshness                what is refused before anything runs; whether there is anything to do
workspaces, locks, sweeping         where a run works, who may work there, and what is removed later
dvc_repro, reproduction, dvc_lock   `dvc repro`: started, followed and explained; the order of its lock
stage_rows, console                 what happened in each stage; how a terminal shows it
history, run_report, outcome        what is kept of a run, for programs and for people; what came of it
champions_page                      the page of all registered versions, in the project's folder
evidence, comparing, deleting       what a run has left, how two differ, and runs that go for good
needed, garbage                     what of DVC's cache and the photographs is needed by whom; the rest is freed
afterwards                          what goes wrong after a failure is a warning
out_of_memory                       a stage that ran out of memory, and a retry that needs less
"""
