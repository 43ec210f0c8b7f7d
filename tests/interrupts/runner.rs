//! CPython's `test_runners`: the interrupts; and what the `Runner` promises about Ctrl-C beyond.

use std::future::pending;
use std::thread;

use evloop::signal::Signal;
use evloop::time::secs;
use evloop::{
    EventLoop, Promise, RunError, Runner, catch_cancel, create_task, ctrl_c, current_task, finally,
    get_running_loop, on_cancel, run, sleep, try_run, yield_now,
};
use rustix::process::{Resource, Rlimit, getrlimit, kill_process, setrlimit};

use crate::harness::{End, Test};

const INT: i32 = libc::SIGINT;

macro_rules! tests {
    ($($name:ident => $prints:literal, $ends:expr;)*) => {
        pub(crate) const TESTS: &[Test] =
            &[$(Test { name: stringify!($name), scenario: $name, prints: $prints, ends: $ends },)*];
    };
}

tests! {
    test_interrupt_call_soon => "main: cancelled\ninterrupted by Ctrl-C\n", End::Code(0);
    test_interrupt_wait => "waits\nthe await was dropped\ninterrupted by Ctrl-C\n", End::Code(0);
    test_interrupt_cancelled_task => "cancelled by itself\nthe main task was cancelled\n", End::Code(0);
    test_signal_install_not_supported_ok => "3\n", End::Signal(INT);
    test_remove_signal_handler_2 => "interrupted by Ctrl-C\n", End::Code(0);
    a_main_that_swallows_it_returns_its_value => "Ok(5)\nOk(6)\n", End::Code(0);
    the_others_clean_up_after_the_first => "main: cancelled\nbackground: cleaned up\n", End::Code(130);
    the_second_ends_the_run_at_once =>
        "main: cleans up\nmain: dropped in its cleanup\nbackground: dropped\nInterrupted\n", End::Code(0);
    a_value_of_the_step_of_the_second_is_not_returned => "Interrupted\n", End::Code(0);
    the_second_before_the_first_was_noticed_ends_the_process => "", End::Signal(INT);
    one_while_the_others_clean_up_ends_that => "cleans up\ndropped\nInterrupted\n", End::Code(0);
    after_each_run_it_is_as_before => "Err(Interrupted)\nErr(Interrupted)\nOk(7)\n", End::Signal(INT);
    one_that_came_too_late_is_not_the_next_runs => "Ok(1)\nOk(2)\n", End::Code(0);
    one_that_is_ignored_stays_ignored => "1\n", End::Code(0);
    on_another_thread_it_is_left_alone => "", End::Signal(INT);
    on_the_virtual_clock_it_is_left_alone => "", End::Signal(INT);
    a_runner_that_does_not_want_it_leaves_it_alone => "", End::Signal(INT);
    listeners_of_the_program_come_first => "ctrl_c\nmain: cancelled\n", End::Code(130);
    the_attribute_is_a_run => "", End::Code(130);
    to_listen_to_it_alone_is_to_wait_for_nothing => "all tasks are stuck\n", End::Code(7);
    what_main_panics_with_goes_through => "", End::Code(101);
}

/// Ctrl-C.
fn interrupt() {
    kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
}

/// Says that it was dropped.
struct Says(&'static str);

impl Drop for Says {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn test_interrupt_call_soon() {
    let ended: Result<(), RunError> = try_run(async {
        on_cancel(
            async {
                interrupt();
                loop {
                    yield_now().await;
                }
            },
            async |c| {
                println!("main: cancelled");
                c.rethrow().await
            },
        )
        .await
    });
    println!("{}", ended.unwrap_err());
}

fn test_interrupt_wait() {
    let ended = try_run(async {
        let never = Promise::<()>::new();
        let _says = Says("the await was dropped");
        println!("waits");
        // It comes while the loop waits without an end, or just before.
        let main = rustix::process::getpid();
        thread::spawn(move || kill_process(main, rustix::process::Signal::INT).unwrap());
        let _ = never.await;
    });
    println!("{}", ended.unwrap_err());
}

fn test_interrupt_cancelled_task() {
    let ended = try_run(async {
        let main = current_task().unwrap();
        main.cancel();
        on_cancel(pending::<()>(), async |_| {
            println!("cancelled by itself");
            interrupt();
            // Until the interrupt cancels this as well.
            loop {
                yield_now().await;
            }
        })
        .await;
    });
    println!("{}", ended.unwrap_err());
}

/// No descriptor is left for the pipe. The interrupt then does what it always did.
fn test_signal_install_not_supported_ok() {
    let mut runner = Runner::new().unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..before }).unwrap();
    println!("{}", runner.run(async { 3 }).unwrap());
    let _ = runner.run(async {
        interrupt();
        yield_now().await;
        println!("never");
    });
}

/// SIGINT goes back to interrupting.
fn test_remove_signal_handler_2() {
    let ended: Result<(), RunError> = try_run(async {
        let handle = get_running_loop().unwrap();
        handle.add_signal_handler(Signal::SIGINT, || unreachable!("removed")).unwrap();
        assert!(handle.remove_signal_handler(Signal::SIGINT));
        interrupt();
        pending().await
    });
    println!("{}", ended.unwrap_err());
}

fn a_main_that_swallows_it_returns_its_value() {
    let mut runner = Runner::new().unwrap();
    for value in [5, 6] {
        let output = runner.run(async {
            let cancelled = catch_cancel(async {
                interrupt();
                pending::<()>().await;
            });
            assert!(cancelled.await.is_err());
            assert_eq!(current_task().unwrap().cancelling(), 1);
            value
        });
        println!("{output:?}");
    }
}

fn the_others_clean_up_after_the_first() {
    run(async {
        let cleanup = async {
            yield_now().await;
            println!("background: cleaned up");
        };
        create_task(finally(pending::<()>(), cleanup)).detach();
        yield_now().await;
        on_cancel(
            async {
                interrupt();
                pending::<()>().await;
            },
            async |c| {
                println!("main: cancelled");
                c.rethrow().await
            },
        )
        .await;
    });
    println!("never");
}

fn the_second_ends_the_run_at_once() {
    let ended = try_run(async {
        create_task(async {
            let _says = Says("background: dropped");
            let cleanup = async { println!("never") };
            finally(pending::<()>(), cleanup).await;
        })
        .detach();
        yield_now().await;
        on_cancel(
            async {
                interrupt();
                pending::<()>().await;
            },
            async |_| {
                let _says = Says("main: dropped in its cleanup");
                println!("main: cleans up");
                interrupt();
                pending::<()>().await;
            },
        )
        .await;
    });
    println!("{:?}", ended.unwrap_err());
}

fn a_value_of_the_step_of_the_second_is_not_returned() {
    let asyncios = EventLoop::builder().steps_per_look(1);
    let mut runner = Runner::builder().event_loop(asyncios).build().unwrap();
    let ended = runner.run(async {
        let cancelled = catch_cancel(async {
            interrupt();
            pending::<()>().await;
        });
        assert!(cancelled.await.is_err());
        // Noticed in the iteration in which this ends, and after it.
        get_running_loop().unwrap().call_soon(interrupt);
        yield_now().await;
        yield_now().await;
        5
    });
    println!("{:?}", ended.unwrap_err());
}

fn the_second_before_the_first_was_noticed_ends_the_process() {
    run(async {
        interrupt();
        interrupt();
        println!("never: this step was stuck");
    });
}

fn one_while_the_others_clean_up_ends_that() {
    let ended = try_run(async {
        create_task(finally(pending::<()>(), async {
            let _says = Says("dropped");
            println!("cleans up");
            interrupt();
            pending::<()>().await;
        }))
        .detach();
        yield_now().await;
    });
    println!("{:?}", ended.unwrap_err());
}

fn after_each_run_it_is_as_before() {
    let mut runner = Runner::new().unwrap();
    for _ in 0..2 {
        let ended: Result<(), RunError> = runner.run(async {
            interrupt();
            pending().await
        });
        println!("{ended:?}");
    }
    println!("{:?}", runner.run(async { 7 }));
    interrupt();
    println!("never");
}

fn one_that_came_too_late_is_not_the_next_runs() {
    let mut runner = Runner::new().unwrap();
    let first = runner.run(async {
        interrupt();
        1
    });
    println!("{first:?}");
    let second = runner.run(async {
        for _ in 0..200 {
            yield_now().await;
        }
        2
    });
    println!("{second:?}");
}

fn one_that_is_ignored_stays_ignored() {
    ignore_sigint();
    let output = run(async {
        interrupt();
        sleep(secs(0)).await;
        1
    });
    interrupt();
    println!("{output}");
}

#[expect(unsafe_code, reason = "what `trap '' INT` of a shell does")]
fn ignore_sigint() {
    // SAFETY: no function.
    unsafe { libc::signal(INT, libc::SIG_IGN) };
}

fn on_another_thread_it_is_left_alone() {
    let ended = thread::spawn(|| {
        try_run(async {
            interrupt();
            pending::<()>().await;
        })
    });
    println!("never: {:?}", ended.join().unwrap());
}

fn on_the_virtual_clock_it_is_left_alone() {
    #[evloop::main(clock = "virtual")]
    async fn program() {
        interrupt();
        pending::<()>().await;
    }
    program();
}

fn a_runner_that_does_not_want_it_leaves_it_alone() {
    let mut runner = Runner::builder().handle_sigint(false).build().unwrap();
    let ended: Result<(), RunError> = runner.run(async {
        interrupt();
        pending().await
    });
    println!("never: {ended:?}");
}

fn listeners_of_the_program_come_first() {
    run(async {
        let listens = create_task(ctrl_c());
        yield_now().await;
        interrupt();
        listens.await.unwrap().unwrap();
        println!("ctrl_c");
        on_cancel(
            async {
                interrupt();
                pending::<()>().await;
            },
            async |c| {
                println!("main: cancelled");
                c.rethrow().await
            },
        )
        .await;
    });
}

fn the_attribute_is_a_run() {
    #[evloop::main]
    async fn program() {
        interrupt();
        pending::<()>().await;
    }
    program();
}

fn what_main_panics_with_goes_through() {
    run(async {
        panic!("main's");
    });
}

/// In debug mode, a program that waits for ever is told of, though Ctrl-C could still come.
fn to_listen_to_it_alone_is_to_wait_for_nothing() {
    let event_loop = EventLoop::builder().debug(true).on_debug_report(|report| {
        if let evloop::debug::DebugReport::Stuck(stuck) = report {
            println!("{}", stuck.to_string().split_once(':').unwrap().0);
            std::process::exit(7);
        }
    });
    let _ = Runner::builder().event_loop(event_loop).build().unwrap().run(pending::<()>());
}
