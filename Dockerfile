# One image for every service of docker-compose.yml, which says what each may do and see.
# `docker build -t igsearch .`; BASE is another Debian with Python 3.11 where Docker Hub is out of reach.
ARG BASE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS builder

# pdqhash comes as source only.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

# pip stays outside of what is copied below: nothing is installed at run time.
RUN python3 -m venv --without-pip /opt/venv && python3 -m venv /opt/installer
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

COPY requirements.lock /build/
RUN /opt/installer/bin/pip --python /opt/venv/bin/python3 install --require-hashes -r /build/requirements.lock

COPY pyproject.toml README.md LICENSE db_init.sql igsearch.py /build/
COPY answers /build/answers
COPY bots /build/bots
COPY cli /build/cli
COPY core /build/core
COPY indexer /build/indexer
# The tests of other projects are left out.
RUN /opt/installer/bin/pip --python /opt/venv/bin/python3 install --no-deps /build \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} +

# hadolint ignore=DL3006
FROM ${BASE}

LABEL org.opencontainers.image.title="igsearch" \
      org.opencontainers.image.description="Reverse image search for Instagram photos that you host yourself" \
      org.opencontainers.image.licenses="MIT"

# A volume that is mounted over the cache folder takes its owner.
RUN groupadd --gid 10001 igsearch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin igsearch \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/cache/igsearch

COPY --from=builder /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/var/cache

# A number, so that `runAsNonRoot` and the like can tell that it is not root.
USER 10001:10001
WORKDIR /srv
ENTRYPOINT ["igsearch"]
CMD ["--help"]
