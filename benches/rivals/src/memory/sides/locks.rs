//! Each side's lock and semaphore, the latter for two at a time.

use std::future::Future;

use crate::memory::workloads::locks::Hold;

impl Hold for evloop::Lock<u64> {
    fn new() -> Self {
        evloop::Lock::new(0)
    }

    async fn hold<F: Future>(&self, during: F) {
        let mut guard = self.acquire().await;
        *guard += 1;
        during.await;
    }
}

impl Hold for evloop::Semaphore {
    fn new() -> Self {
        evloop::Semaphore::new(2)
    }

    async fn hold<F: Future>(&self, during: F) {
        let _permit = self.acquire().await;
        during.await;
    }
}

impl Hold for tokio::sync::Mutex<u64> {
    fn new() -> Self {
        tokio::sync::Mutex::new(0)
    }

    async fn hold<F: Future>(&self, during: F) {
        let mut guard = self.lock().await;
        *guard += 1;
        during.await;
    }
}

impl Hold for tokio::sync::Semaphore {
    fn new() -> Self {
        tokio::sync::Semaphore::new(2)
    }

    async fn hold<F: Future>(&self, during: F) {
        let _permit = self.acquire().await.expect("nobody closes it");
        during.await;
    }
}

impl Hold for smol::lock::Mutex<u64> {
    fn new() -> Self {
        smol::lock::Mutex::new(0)
    }

    async fn hold<F: Future>(&self, during: F) {
        let mut guard = self.lock().await;
        *guard += 1;
        during.await;
    }
}

impl Hold for smol::lock::Semaphore {
    fn new() -> Self {
        smol::lock::Semaphore::new(2)
    }

    async fn hold<F: Future>(&self, during: F) {
        let _permit = self.acquire().await;
        during.await;
    }
}
