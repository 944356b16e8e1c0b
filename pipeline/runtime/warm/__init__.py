"""A warm run: what is slow to start, a JVM and the imports of heavy libraries, is started once for all of its stages.

    server      one small process for a run and machine: listens, starts parents, ends with the run
    jvm_lease   the server's part that is about the JVM: which stage's process has it
    parent      has imported libraries, and forks the processes of stages; one of them forks the JVM's holder, too
    jvm         what the holder does: starts the JVM, puts it in order between two stages
    client      what a stage says to the server; without one, the stage works as it does by itself
    short_way   the client before anything else is imported, where a server is there already
    planning    what the server must know of each stage, from dvc.yaml and execution.yaml
    messages    what all of them say it by

A parent imports nothing of `pipeline`: so each stage runs the code as it stands then, and what it imports is seen.
"""
