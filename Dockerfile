# The operator as an image, for those who have a container engine: one static binary and the certificates of public
# authorities, no shell, not root. It is the image that `make image` makes without an engine, except that the certificates are
# Alpine's copy of Mozilla's list; `make test-image` compares the two.
#
#   docker build --build-arg REVISION=$(git rev-parse HEAD) --tag oms-operator:0.1.0 .

FROM rust:1.95-alpine AS build
# ring has a little C and assembly; ca-certificates is copied into the image below.
RUN apk add --no-cache build-base ca-certificates
# The image brings its toolchain; rust-toolchain.toml would fetch another one, with lints and formatter.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src src
# Without features: nothing of the emulator and of the development programs.
RUN cargo build --locked --release --bin oms-operator

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.description="Kubernetes operator that makes Huawei Cloud's Object Storage Migration Service (OMS) declarative" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="https://github.com/oms-operator/oms-operator" \
      org.opencontainers.image.title="oms-operator" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /source/target/release/oms-operator /oms-operator
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/oms-operator"]
CMD ["run"]
