"""The service as one copy of several, for uvicorn's workers and Ray Serve; see replicas.py."""

import sys
import time

from mien.serve import app
from mien.serve.limits import Limits
from mien.serve.settings import Settings


def create():
    return app.create(Settings(threads=1, hosts=("*",), limits=Limits(rate=0)))


def main() -> None:
    from ray import serve

    deployed = serve.deployment(num_replicas=int(sys.argv[1]), max_ongoing_requests=100)
    made = deployed(serve.ingress(create)(type("Copy", (), {})))
    serve.start(http_options={"port": 8767})
    serve.run(made.bind())
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
