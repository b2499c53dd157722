"""A daemon whose disk refuses to be written to, from one moment to the next and back; needs no rights.
refusing_disk.c says how."""
import os

from harness import BUILD, Daemon

LIBRARY = os.path.join(BUILD, "tests/refusing_disk.so")


class RefusingDaemon(Daemon):
    """One midwatch serve, on a disk of which the moods are set."""

    READ_ONLY, FULL, BROKEN, WELL = "r", "f", "e", None

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.data = os.path.realpath(self.data)
        self.switch = self.log_path + ".disk"
        self.loaded = False

    def environment(self):
        more = {"LD_PRELOAD": LIBRARY, "REFUSING_DISK_ROOT": self.data,
                "REFUSING_DISK_SWITCH": self.switch} if self.loaded else {}
        # A sanitizer's library wants to be the first one; it works behind ours.
        options = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        return {**super().environment(), **({"ASAN_OPTIONS": options} if more else {}), **more}

    def start(self):
        """The library is the daemon's alone: clients of the command line run without."""
        self.loaded = True
        try:
            return super().start()
        finally:
            self.loaded = False

    def disk(self, mood):
        """At once and as a whole."""
        if mood is None:
            if os.path.exists(self.switch):
                os.unlink(self.switch)
            return
        with open(self.switch + ".new", "w", encoding="ascii") as switch:
            switch.write(mood)
        os.rename(self.switch + ".new", self.switch)

    def remove(self):
        self.disk(self.WELL)
        super().remove()
