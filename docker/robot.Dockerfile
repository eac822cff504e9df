# The stack on ROS 2 Humble, for the robot's computer. NOT RUN: nobody has built this image yet.
#
#   docker build -f docker/robot.Dockerfile -t vla-robot .
#
# pip takes its usual settings as build arguments, for example an index with torch's CPU build
# (200 MB in place of 3 GB): --build-arg PIP_EXTRA_INDEX_URL=...
FROM ros:humble-ros-base

RUN apt-get update && apt-get install -y --no-install-recommends \
        build-essential cmake python3-dev python3-venv \
        libegl1 libegl-mesa0 libgl1-mesa-dri libglvnd0 libopengl0 \
    && rm -rf /var/lib/apt/lists/*

ARG PIP_EXTRA_INDEX_URL
WORKDIR /vla
COPY . .
RUN . /opt/ros/humble/setup.sh && ./vla setup

# The image's own entry point sources ROS 2 first.
CMD ["./vla", "up", "--backend", "real"]
