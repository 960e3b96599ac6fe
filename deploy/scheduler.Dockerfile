# Scheduler, command line and migrations: no torch, no OpenSlide. Build context: the repository's root.
# Research use only, not for diagnostic procedures.
FROM python:3.13.15-slim-trixie AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY constraints.txt ./
RUN pip install --constraint constraints.txt hatchling \
 && python -m venv --without-pip /opt/marrowline
COPY pyproject.toml README.md LICENSE ./
COPY db db
COPY worker worker
COPY scheduler scheduler
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /opt/marrowline/bin/python install --only-binary :all: --constraint constraints.txt /wheels/*.whl

FROM python:3.13.15-slim-trixie
RUN pip uninstall --yes --quiet --root-user-action ignore pip \
 && groupadd --system --gid 10001 marrowline \
 && useradd --system --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin marrowline
COPY --from=build /opt/marrowline /opt/marrowline
COPY deploy/healthcheck.py /opt/marrowline/healthcheck.py
ENV PATH=/opt/marrowline/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /tmp
USER 10001:10001
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=2 \
  CMD ["python", "/opt/marrowline/healthcheck.py", "scheduler"]
CMD ["marrowline", "scheduler"]
