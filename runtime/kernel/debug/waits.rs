//! Who waits for what, and the circles in it.

use std::collections::HashMap;
use std::fmt;

use super::info::TaskInfo;
use super::probe::Said;

/// A task and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskWaits {
    task: TaskInfo,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Its next step is sure to come.
    Ready,
    /// It had not been woken, and went on when it was polled.
    WentOn,
    Waits(Vec<Wait>),
}

impl TaskWaits {
    pub(crate) fn ready(task: TaskInfo) -> Self {
        Self { task, state: State::Ready }
    }

    pub(crate) fn went_on(task: TaskInfo) -> Self {
        Self { task, state: State::WentOn }
    }

    /// `name` knows the tasks that are not over.
    pub(crate) fn of(task: TaskInfo, said: Vec<Said>, name: impl Fn(u64) -> Option<String>) -> Self {
        let waits = said.into_iter().map(|said| Wait::new(said, &name)).collect();
        Self { task, state: State::Waits(waits) }
    }

    /// Which task.
    #[must_use]
    pub fn task(&self) -> &TaskInfo {
        &self.task
    }

    /// What it waits for: several things if it waits for the first or for the last of them. Empty if the task is
    /// ready to run, and if it waits for something that does not say what it is, such as a future of another crate.
    #[must_use]
    pub fn waits(&self) -> &[Wait] {
        match &self.state {
            State::Waits(waits) => waits,
            State::Ready | State::WentOn => &[],
        }
    }

    /// Whether the task waits for nothing but its turn.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }
}

impl fmt::Display for TaskWaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)?;
        match &self.state {
            State::Ready => f.write_str(": ready to run"),
            State::WentOn => f.write_str(": went on when it was asked, though nobody had woken it"),
            State::Waits(waits) if waits.is_empty() => {
                f.write_str(": waits for something that does not say what it is")
            }
            State::Waits(waits) => {
                f.write_str(": waits for ")?;
                for (n, wait) in waits.iter().enumerate() {
                    write!(f, "{}{wait}", if n == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

/// One thing that a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    text: String,
    tasks: Vec<u64>,
}

impl Wait {
    fn new(said: Said, name: impl Fn(u64) -> Option<String>) -> Self {
        let Said { what, how, tasks } = said;
        let mut text = what.into_owned();
        for (n, &task) in tasks.iter().enumerate() {
            let before = match n {
                0 if text.is_empty() => format!("{how} "),
                0 => format!(", {how} "),
                _ => ", ".to_owned(),
            };
            text += &before;
            text += &name(task).unwrap_or_else(|| format!("Task-{task}, which has ended"));
        }
        Self { text, tasks }
    }

    /// In words: `Queue::get`, or `Lock::acquire, held by writer`.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.text
    }

    /// The numbers of the tasks that it depends on, as far as that is known: who holds the lock, who is awaited.
    #[must_use]
    pub fn tasks(&self) -> &[u64] {
        &self.tasks
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The tasks of a loop on which nothing can happen any more, and what each waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    tasks: Vec<TaskWaits>,
    circles: Vec<Vec<u64>>,
}

impl Stuck {
    pub(crate) fn new(tasks: Vec<TaskWaits>) -> Self {
        let circles = circles(&tasks);
        Self { tasks, circles }
    }

    /// The stuck tasks, in order of creation.
    #[must_use]
    pub fn tasks(&self) -> &[TaskWaits] {
        &self.tasks
    }

    /// Tasks that wait for each other in a circle, each for the next and the last for the first, by their numbers: the
    /// deadlock itself. A circle of one is a task that waits for what it holds itself.
    #[must_use]
    pub fn circles(&self) -> &[Vec<u64>] {
        &self.circles
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all tasks are stuck: nothing is ready, no timer is set and nobody else can wake them")?;
        for task in &self.tasks {
            write!(f, "\n  {task}")?;
        }
        let name = |id| self.tasks.iter().find(|task| task.task.id == id).map(|task| task.task.name());
        for circle in &self.circles {
            f.write_str("\na deadlock: ")?;
            for (n, &id) in circle.iter().enumerate() {
                let next = circle[(n + 1) % circle.len()];
                let (who, whom) = (name(id).unwrap_or_default(), name(next).unwrap_or_default());
                let whom = if id == next { "itself" } else { &*whom };
                write!(f, "{}{who} waits for {whom}", if n == 0 { "" } else { ", " })?;
            }
        }
        Ok(())
    }
}

/// A circle for each way back to a task from which it has been come to: depth first, each task once.
fn circles(tasks: &[TaskWaits]) -> Vec<Vec<u64>> {
    let known: HashMap<u64, usize> = tasks.iter().enumerate().map(|(n, task)| (task.task.id, n)).collect();
    let edges: Vec<Vec<usize>> = tasks
        .iter()
        .map(|task| {
            let all = task.waits().iter().flat_map(|wait| &wait.tasks);
            all.filter_map(|id| known.get(id).copied()).collect()
        })
        .collect();
    let mut circles = Vec::new();
    let mut seen = vec![false; tasks.len()];
    // Where each task stands on the path, if it does.
    let mut place = vec![None; tasks.len()];
    for start in 0..tasks.len() {
        if seen[start] {
            continue;
        }
        // The path, and which edge of each comes next.
        let mut path = vec![(start, 0)];
        seen[start] = true;
        place[start] = Some(0);
        while let Some((task, edge)) = path.last_mut() {
            let Some(&next) = edges[*task].get(*edge) else {
                place[*task] = None;
                path.pop();
                continue;
            };
            *edge += 1;
            if let Some(place) = place[next] {
                circles.push(path[place..].iter().map(|&(task, _)| tasks[task].task.id).collect());
            } else if !seen[next] {
                seen[next] = true;
                place[next] = Some(path.len());
                path.push((next, 0));
            }
        }
    }
    circles
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn task(id: u64, waits_for: &[u64]) -> TaskWaits {
        let said = Said { what: "".into(), how: "the end of", tasks: waits_for.to_vec() };
        let name = |id| (id < 90).then(|| format!("t{id}"));
        TaskWaits::of(TaskInfo { id, name: Some(format!("t{id}").into()), location: None }, vec![said], name)
    }

    fn circles_of(tasks: &[(u64, &[u64])]) -> Vec<Vec<u64>> {
        let tasks = tasks.iter().map(|(id, waits)| task(*id, waits)).collect();
        Stuck::new(tasks).circles().to_vec()
    }

    #[test]
    fn circles_are_found_once_and_lines_are_none() {
        assert!(circles_of(&[]).is_empty());
        assert!(circles_of(&[(1, &[2]), (2, &[3]), (3, &[])]).is_empty());
        assert!(
            circles_of(&[(1, &[2, 3]), (2, &[4]), (3, &[4]), (4, &[])]).is_empty(),
            "two ways, no way back"
        );
        assert_eq!(circles_of(&[(1, &[1])]), [[1]]);
        assert_eq!(
            circles_of(&[(1, &[2]), (2, &[3]), (3, &[2])]),
            [[2, 3]],
            "who waits for a circle is in none"
        );
        assert_eq!(circles_of(&[(5, &[7]), (6, &[5]), (7, &[6])]), [[5, 7, 6]]);
        assert_eq!(circles_of(&[(1, &[2, 3]), (2, &[1]), (3, &[1])]), [[1, 2], [1, 3]]);
        assert!(circles_of(&[(1, &[99])]).is_empty(), "who has ended is in none");
    }

    #[test]
    fn a_long_line_is_no_deep_recursion() {
        let next: Vec<u64> = (1..=100_000).collect();
        let tasks: Vec<_> = next.iter().map(|n| (n - 1, std::slice::from_ref(n))).collect();
        assert!(circles_of(&tasks).is_empty());
    }

    #[test]
    fn what_is_waited_for_is_said_in_words() {
        assert_eq!(task(1, &[2, 99]).to_string(), "t1: waits for the end of t2, Task-99, which has ended");
        let waits =
            Wait::new(Said { what: "Lock::acquire".into(), how: "held by", tasks: vec![3] }, |_| None);
        assert_eq!(waits.what(), "Lock::acquire, held by Task-3, which has ended");
        let info = TaskInfo { id: 4, name: None, location: None };
        let of = |said| TaskWaits::of(info.clone(), said, |_| None).to_string();
        assert_eq!(of(vec![]), "Task-4: waits for something that does not say what it is");
        let said = |what: &'static str| Said { what: what.into(), ..Said::default() };
        assert_eq!(
            of(vec![said("Queue::get"), said("Event::wait")]),
            "Task-4: waits for Queue::get; Event::wait"
        );
        assert_eq!(TaskWaits::ready(info).to_string(), "Task-4: ready to run");
    }

    #[test]
    fn a_deadlock_is_said_in_words() {
        let text = Stuck::new(vec![task(1, &[2]), task(2, &[1]), task(3, &[3])]).to_string();
        let circles: Vec<_> = text.lines().filter(|line| line.starts_with("a deadlock")).collect();
        assert_eq!(
            circles,
            ["a deadlock: t1 waits for t2, t2 waits for t1", "a deadlock: t3 waits for itself"]
        );
    }
}
