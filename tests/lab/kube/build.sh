#!/bin/sh
# Builds kube-apiserver from Debian's source package, inside the root that labctl/apiserver.py makes. The sources that it
# depends on come with it (vendor/), so that nothing is fetched.
set -eu
mkdir -p /go/src/k8s.io/kubernetes
tar -xzf /src/kubernetes_*.orig.tar.gz --strip-components=1 -C /go/src/k8s.io/kubernetes
cd /go/src/k8s.io/kubernetes
version=$(sed 's/.*really//; s/-.*//' /src/version)
export GOPATH=/go GO111MODULE=off CGO_ENABLED=0 GOCACHE=/tmp/gocache HOME=/root
# The one generated file that is not part of the sources; as build/root/Makefile.generated_files makes it.
go build -o /openapi-gen ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
inputs=$(grep -rl --include='*.go' '+k8s:openapi-gen=' vendor/k8s.io/ staging/src/k8s.io/ pkg cmd |
    grep -v 'code-generator/\|sample-apiserver/\|_test.go' | xargs -n 1 dirname |
    sed 's,^staging/src/,vendor/,; s,^,k8s.io/kubernetes/,' | sort -u | paste -sd,)
/openapi-gen --logtostderr -i "$inputs" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
    -h hack/boilerplate/boilerplate.generatego.txt -r /tmp/violations
# In this form of building a package of vendor/ has its whole path as its name.
key=k8s.io/kubernetes/vendor/k8s.io/component-base/version
minor=${version#*.}
go build -trimpath -o /kube-apiserver -ldflags \
    "-s -w -X $key.gitVersion=v$version -X $key.gitMajor=${version%%.*} -X $key.gitMinor=${minor%%.*}" \
    ./cmd/kube-apiserver
