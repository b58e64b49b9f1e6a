//! Launchers of MPI.

/// Launcher that started this process as one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Variable of the environment that says so.
    pub variable: &'static str,
    /// Number of processes, where the variable has it.
    pub ranks: Option<usize>,
}

/// Variables that launchers set: Open MPI's `mpirun`, MPICH's and Intel's `mpiexec` and Slurm's PMI, MPICH's Hydra by
/// itself, and Slurm's and PRRTE's PMIx, which does not say how many there are.
const VARIABLES: [(&str, bool); 4] =
    [("OMPI_COMM_WORLD_SIZE", true), ("PMI_SIZE", true), ("MPI_LOCALNRANKS", true), ("PMIX_RANK", false)];

/// The launcher that started this process as one of several; `None` where it was started by itself.
pub fn launched() -> Option<Launched> {
    by_variables(|name| std::env::var(name).ok())
}

fn by_variables(value: impl Fn(&str) -> Option<String>) -> Option<Launched> {
    VARIABLES.into_iter().find_map(|(variable, counts)| {
        let value = value(variable)?;
        let ranks = if counts { Some(value.trim().parse().ok()?) } else { None };
        Some(Launched { variable, ranks })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_known_by_their_variables() {
        let of = |name: &'static str, text: &'static str| {
            by_variables(move |asked| (asked == name).then(|| text.to_owned()))
        };
        assert_eq!(of("OMPI_COMM_WORLD_SIZE", "4").unwrap().ranks, Some(4));
        assert_eq!(of("PMI_SIZE", "2").unwrap().variable, "PMI_SIZE");
        assert_eq!(of("PMIX_RANK", "0").unwrap().ranks, None);
        assert_eq!(of("OMPI_COMM_WORLD_SIZE", "many"), None);
        assert_eq!(of("PATH", "/bin"), None);
    }
}
