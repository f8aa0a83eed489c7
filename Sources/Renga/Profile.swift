// Profile.swift: where a session's time goes, as a document.
// Not here: the measurement (RengaExecution).
import RengaExecution
import RengaNetwork

extension StepProfile {
    /// `{"precision","steps":[{"name","operator","algorithm","ms","gflops","bytes"}],"ms"}`; "ms" of the whole is the sum.
    package static func jsonText(_ steps: [StepProfile], _ precision: Precision) -> String {
        let list = steps.map { step -> JSON in
            [
                "name": .text(step.name), "operator": .text(step.operation), "algorithm": .text(step.algorithm),
                "ms": .number(step.seconds * 1e3), "gflops": .number(step.gflops), "bytes": .integer(step.bytes),
            ]
        }
        let document: JSON = [
            "precision": .text(precision.rawValue),
            "steps": .list(list), "ms": .number(steps.reduce(0) { $0 + $1.seconds } * 1e3),
        ]
        return document.description
    }
}
