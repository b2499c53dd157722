"""The command lines of the benches: options, and which of their parts are to run."""
import argparse
import os


def read_options(description, parts, numbers):
    """options.parts: the names that were given, or all; and each of `numbers` (flag, default)."""
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", type=os.path.abspath)
    for flag, default in numbers:
        parser.add_argument(flag, type=type(default), default=default)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in parts]
    if unknown:
        parser.error(f"no part {unknown[0]}; parts are {', '.join(parts)}")
    options.parts = options.parts or list(parts)
    os.environ["MIDWATCH_BUILD"] = options.build
    return options
