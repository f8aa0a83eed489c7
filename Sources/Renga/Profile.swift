// Profile.swift: where a session's or a trainer's time goes, and what the machine can do at most, as documents.
// Not here: the measurement (RengaExecution, RengaTraining, CRengaKernels).
import CRengaKernels
import RengaExecution
import RengaNetwork

extension StepProfile {
    /// `{"precision","steps":[{"name","operator","algorithm","ms","macs","gflops","bytes","gbytes_per_s"}],"ms"}`; "ms" is the sum.
    package static func jsonText(_ steps: [StepProfile], _ precision: Precision) -> String {
        let list = steps.map { step -> JSON in
            [
                "name": .text(step.name), "operator": .text(step.operation), "algorithm": .text(step.algorithm),
                "ms": .number(step.seconds * 1e3), "macs": .integer(step.macs), "gflops": .number(step.gflops),
                "bytes": .integer(step.bytes), "gbytes_per_s": .number(step.gigabytesPerSecond),
            ]
        }
        let document: JSON = [
            "precision": .text(precision.rawValue),
            "steps": .list(list), "ms": .number(steps.reduce(0) { $0 + $1.seconds } * 1e3),
        ]
        return document.description
    }
}

extension Runtime {
    /// Measures now: `{"threads","f32_gflops","bf16_gflops","read_gbytes_per_s","write_gbytes_per_s"}`, 0 where the processor cannot.
    /// threads: 1 ... 256. Errors: outOfMemory.
    package static func measuredPeaks(threads: Int) throws(RengaError) -> String {
        var peaks = rk_peaks()
        guard rk_measure_peaks(Int32(clamping: threads), &peaks) == 0 else {
            throw RengaError(.outOfMemory, "no memory to measure the machine's peaks")
        }
        let document: JSON = [
            "threads": .integer(threads), "f32_gflops": .number(peaks.f32_gflops),
            "bf16_gflops": .number(peaks.bf16_gflops), "read_gbytes_per_s": .number(peaks.read_gbytes),
            "write_gbytes_per_s": .number(peaks.write_gbytes),
        ]
        return document.description
    }
}
