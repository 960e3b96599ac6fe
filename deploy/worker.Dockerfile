# Worker: reads slides on a CPU or on one GPU. Build context: the repository's root.
# Research use only, not for diagnostic procedures.
#
# The CPU and the GPU image differ in torch's build alone. TORCH_INDEX_URL names the package index that torch and
# torchvision come from; empty means pip's default, whose torch for Linux on x86-64 is the CUDA build. constraints.txt
# holds for both: `torch==2.13.0` is met by 2.13.0+cpu and by 2.13.0+cu130 alike.
FROM python:3.13.15-slim-trixie AS build
ARG TORCH_INDEX_URL=""
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY constraints.txt ./
RUN pip install --constraint constraints.txt hatchling \
 && python -m venv --without-pip /opt/marrowline
RUN pip --python /opt/marrowline/bin/python install --only-binary :all: --constraint constraints.txt --no-deps \
      ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} torch torchvision
COPY pyproject.toml README.md LICENSE ./
COPY db db
COPY worker worker
COPY scheduler scheduler
# torch is there already, so this step adds what it and Marrowline depend on, from the default index.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && wheel=$(echo /wheels/*.whl) \
 && pip --python /opt/marrowline/bin/python install --only-binary :all: --constraint constraints.txt "${wheel}[worker]"

FROM python:3.13.15-slim-trixie
RUN pip uninstall --yes --quiet --root-user-action ignore pip \
 && groupadd --system --gid 10001 marrowline \
 && useradd --system --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin marrowline \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/cache/marrowline
COPY --from=build /opt/marrowline /opt/marrowline
COPY deploy/healthcheck.py /opt/marrowline/healthcheck.py
ENV PATH=/opt/marrowline/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \
    MARROWLINE_CACHE_DIR=/var/cache/marrowline
WORKDIR /tmp
USER 10001:10001
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=2 \
  CMD ["python", "/opt/marrowline/healthcheck.py", "worker"]
CMD ["marrowline", "worker"]
