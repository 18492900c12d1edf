# The suite in a small image, for the CPU or an NVIDIA GPU; README.md says how to run it.
#   docker build -t object-detection .
#   docker build -t object-detection:gpu --build-arg DEVICE=gpu .
FROM python:3.12-slim

ARG DEVICE=cpu

RUN useradd --create-home --uid 1000 user && install --directory --owner user /app
WORKDIR /app
USER 1000

# make setup, without the tools for tests. It changes seldom, so it comes before the code.
COPY --chown=1000 requirements.txt constraints.txt ./
RUN python -m venv .venv && \
    .venv/bin/python -m pip install --no-cache-dir --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
RUN if [ "$DEVICE" = gpu ]; then \
        .venv/bin/python -m pip install --no-cache-dir --quiet --disable-pip-version-check \
            'tensorflow[and-cuda]' -c constraints.txt; \
    fi
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONPATH=/app

COPY --chown=1000 . .
CMD ["python", "train_and_eval_tf2.py", "--help"]
