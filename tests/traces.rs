//! Spans that reach a collector, and a collector that is not there.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::transport::server::{Server as GrpcServer, TcpIncoming};
use tonic::{Request, Response, Status};

use crate::support::client::process_path;
use crate::support::{Launch, Server, eventually, pictures};

/// Takes spans over gRPC, as any collector does.
struct Collector {
    address: SocketAddr,
    taken: Taken,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.lock().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Taken {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ExportTraceServiceRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let taken = Taken::default();
        let entered = runtime.enter();
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = incoming.local_addr().expect("bound");
        let service = TraceServiceServer::new(taken.clone());
        runtime.spawn(
            GrpcServer::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        drop(entered);
        Self {
            address,
            taken,
            _runtime: runtime,
        }
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn services(&self) -> BTreeSet<String> {
        let taken = self.taken.lock();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        resources
            .filter_map(|resource| {
                let attributes = &resource.resource.as_ref()?.attributes;
                let name = attributes.iter().find(|pair| pair.key == "service.name")?;
                match name.value.clone()?.value? {
                    Value::StringValue(name) => Some(name),
                    _ => None,
                }
            })
            .collect()
    }
}

#[test]
fn a_collector_sees_the_stages_of_a_request_in_its_trace() {
    let collector = Collector::start();
    let server = Launch::new()
        .setting(
            "tracing.opentelemetry.url",
            format!("http://{}", collector.address),
        )
        .setting("tracing.opentelemetry.service_name", "pictures")
        .start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = "00f067aa0ba902b7";
    let traceparent = format!("00-{trace}-{parent}-01");
    let path = process_path("webp", &alias, "thumbnail=30");
    server
        .get_with(&path, &[("traceparent", &traceparent)])
        .ok();
    eventually("the request's own span, which ends last, arrives", || {
        let parents = collector.spans().into_iter();
        let mut parents = parents.map(|span| hex::encode(span.parent_span_id));
        parents.any(|found| found == parent).then_some(())
    });
    server.get("/nothing").status(404);
    // What is left is sent at the end.
    server.stop();

    assert_eq!(
        collector.services(),
        BTreeSet::from(["pictures".to_owned()])
    );
    let spans = collector.spans();
    let ours: Vec<_> = spans
        .iter()
        .filter(|span| hex::encode(&span.trace_id) == trace)
        .collect();
    let names: BTreeSet<_> = ours.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        "GET /image/process.{extension}",
        "db",
        "media",
        "queue",
        "store",
    ];
    assert_eq!(names, BTreeSet::from(expected), "{spans:#?}");
    let root = ours
        .iter()
        .find(|span| hex::encode(&span.parent_span_id) == parent)
        .expect("the request is the client's child");
    assert_eq!(root.name, expected[0]);
    let media = ours.iter().find(|span| span.name == "media").expect("one");
    assert_eq!(media.parent_span_id, root.span_id);
    assert!(spans.iter().any(|span| span.name == "POST /image"));
    assert!(spans.iter().any(|span| span.name == "GET unknown"));
}

#[test]
fn without_a_collector_everything_works() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound")
    };
    // One that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_address = silent.local_addr().expect("bound");
    for address in [gone, silent_address] {
        let server = Launch::new()
            .setting("tracing.opentelemetry.url", format!("http://{address}"))
            .start();
        let alias = server.upload(&pictures::png(&pictures::photo(9, 9))).alias;
        for _ in 0..100 {
            server.original(&alias);
        }
        server.stop().start();
    }
}

#[test]
fn addresses_and_filters_of_traces_that_cannot_work_are_refused() {
    for (key, value) in [
        ("tracing.opentelemetry.url", "localhost:4317"),
        ("tracing.opentelemetry.targets", "info,=bad="),
    ] {
        let refusal = Launch::new()
            .setting("tracing.opentelemetry.url", "http://127.0.0.1:1")
            .setting(key, value)
            .refused();
        assert_eq!(refusal.status.code(), Some(78));
        for word in [key, value] {
            assert!(refusal.output.contains(word), "{}", refusal.output);
        }
    }
    // Left empty, as deployments do.
    Server::with([("tracing.opentelemetry.url", "")])
        .get("/healthz")
        .ok();
}
