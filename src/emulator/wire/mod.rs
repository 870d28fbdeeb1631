//! What goes over the wire: requests as the service reads them, answers and refusals as it writes them.
pub mod answer;
pub mod bandwidth;
pub mod identity;
pub mod members;
pub mod refusal;
pub mod request;
