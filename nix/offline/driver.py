"""The test driver of nixpkgs in little: runs a testScript inside the machine it is about.

driver.py MACHINE SCRIPT; the exit code tells whether the script passed.
"""

import contextlib
import socket
import subprocess
import sys
import time


class Machine:
    def execute(self, command):
        print("+", command, flush=True)
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail; {command}"], stdout=subprocess.PIPE, text=True
        )
        return done.returncode, done.stdout

    def succeed(self, command):
        code, output = self.execute(command)
        assert code == 0, f"exit code {code} of: {command}\n{output}"
        return output

    def fail(self, command):
        code, output = self.execute(command)
        assert code != 0, f"unexpected success of: {command}\n{output}"
        return output

    def systemctl(self, words):
        return self.execute(f"systemctl {words}")

    def wait_for_unit(self, unit):
        self.wait(lambda: self.systemctl(f"is-active {unit}")[0] == 0, unit)

    def wait_for_open_port(self, port):
        def is_open():
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", port)) == 0

        self.wait(is_open, f"port {port}")

    def wait(self, ready, what, seconds=60):
        for _ in range(seconds * 10):
            if ready():
                return
            time.sleep(0.1)
        raise AssertionError(f"{what} never came")


@contextlib.contextmanager
def subtest(name):
    print(f"subtest: {name}", flush=True)
    yield


machine, script = sys.argv[1:]
with open(script) as source:
    exec(compile(source.read(), script, "exec"), {machine: Machine(), "subtest": subtest})
print("passed")
