# A policy behind WebSocket, for a machine with more computing power than the robot; ROS is not
# needed there. NOT RUN: nobody has built this image yet.
#
#   docker build -f docker/policy.Dockerfile -t vla-policy .
FROM python:3.11-slim-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends build-essential cmake \
    && rm -rf /var/lib/apt/lists/*

ARG PIP_EXTRA_INDEX_URL
# It renders nothing.
ENV MUJOCO_GL=disable
WORKDIR /vla
COPY . .
RUN ./vla setup

EXPOSE 8000
CMD ["./vla", "serve", "nano:models/demo", "--host", "0.0.0.0", "--port", "8000"]
