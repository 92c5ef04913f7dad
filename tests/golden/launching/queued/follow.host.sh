# Run on a host: starts the unit if it does not run.
set -eu
case "$(systemctl is-active tri-modal-3b-follower || true)" in
  active | activating | deactivating)
    if [ "$(systemctl show --property=Description --value tri-modal-3b-follower)" = mdm-c0fe2d987ae3c29d ]; then exit 0; fi
    echo "tri-modal-3b-follower runs with other settings: sudo systemctl stop tri-modal-3b-follower ends it; then run this script again" >&2
    exit 1
    ;;
  failed)
    echo "tri-modal-3b-follower failed: sudo journalctl --unit=tri-modal-3b-follower tells why, sudo systemctl reset-failed tri-modal-3b-follower lets it start again" >&2
    exit 1
    ;;
esac
sudo gcloud auth configure-docker europe-docker.pkg.dev --quiet
if ! mountpoint --quiet /data; then
  command -v gcsfuse > /dev/null || { echo "install Cloud Storage FUSE (gcsfuse) on this host" >&2; exit 1; }
  sudo mkdir -p /data
  sudo gcsfuse -o ro,allow_other --implicit-dirs bucket /data
fi
sudo systemd-run \
  --unit=tri-modal-3b-follower \
  --description=mdm-c0fe2d987ae3c29d \
  --property=After=docker.service \
  --property=Restart=on-failure \
  '--property=RestartPreventExitStatus=2 3 4' \
  '--property=SuccessExitStatus=75 143' \
  '--property=RestartForceExitStatus=75 143' \
  --property=RestartSec=30 \
  --property=StartLimitBurst=101 \
  --property=StartLimitIntervalSec=infinity \
  --property=TimeoutStopSec=180 \
  '--property=ExecStartPre=-/usr/bin/docker rm --force tri-modal-3b-follower' \
    /usr/bin/docker run \
      --rm \
      --init \
      --name=tri-modal-3b-follower \
      --stop-timeout=180 \
      --net=host \
      --ipc=host \
      --volume=/data:/data:ro \
      --env=JAX_PLATFORMS=cpu \
      '--env=LIBTPU_INIT_ARGS=--first=1 --second=2' \
        europe-docker.pkg.dev/project/mdm/mdm:1 python -m mdm.evaluate \
          --workdir=gs://bucket/runs/3b \
          --follow \
          --await_start=1800
