#!/bin/sh
# Creates the namespace and registers the search attributes of aip-temporal in it. Run on every start: what is there stays.
# Reads TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and RETENTION.
set -eu

# Named each time: the commands on namespaces do not read TEMPORAL_NAMESPACE.
if ! temporal operator namespace describe -n "$TEMPORAL_NAMESPACE" >/dev/null; then
  temporal operator namespace create -n "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi

# A new namespace is seen by the whole server after some seconds.
attempt=1
until temporal operator search-attribute create -n "$TEMPORAL_NAMESPACE" \
  --name AipAgent --type Keyword \
  --name AipSession --type Keyword \
  --name AipBatch --type Keyword \
  --name AipState --type Keyword \
  --name AipNeedsAttention --type Bool; do
  [ "$attempt" -lt 20 ] || exit 1
  attempt=$((attempt + 1))
  sleep 2
done
