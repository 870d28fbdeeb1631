# The operator as an image: one static binary and the certificates of public authorities, no shell, not root.
#
#   docker build --tag oms-operator .
#
# CI does not build this image yet: it needs a container engine, which the tests do without.

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
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /source/target/release/oms-operator /oms-operator
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/oms-operator"]
CMD ["run"]
