// AlgorithmTests.swift: algorithms that a training was told to take or found by timing: it keeps them, also where it is resumed.
// Not here: which algorithm is how fast, what each computes (KernelTests).
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaTraining

final class AlgorithmTests: XCTestCase {
    private func trainer(_ algorithm: String? = nil, tune: Bool = false, threads: Int = 2) throws -> Trainer {
        var options = TrainerOptions(threads: threads)
        (options.algorithm, options.tune) = (algorithm, tune)
        return try Trainer(Toy.network(), recipe: Toy.recipe(), options: options)
    }

    private func algorithms(_ trainer: Trainer) throws -> [String] {
        try trainer.profile(runs: 1).map { "\($0.name) \($0.operation) \($0.algorithm)" }
    }

    /// Stopped after five steps and resumed from the file.
    private func resumed(_ make: () throws -> Trainer, threads: Int) throws -> (first: Trainer, second: Trainer) {
        let scratch = try Scratch()
        let first = try make()
        var calls = 0
        expect(.cancelled) {
            try first.fit(Toy.dataset(80)) { _ in
                calls += 1
                return calls < 5
            }
        }
        try first.save(to: scratch.path + "/t")
        return (first, try Trainer(resuming: scratch.path + "/t", options: TrainerOptions(threads: threads)))
    }

    func testAForcedAlgorithmIsTakenAndStaysTaken() throws {
        let byRule = try trainer()
        try byRule.fit(Toy.dataset(80))
        let whole = try trainer("reference")
        try whole.fit(Toy.dataset(80))
        XCTAssertNotEqual(try bits(whole.network()), try bits(byRule.network()), "nothing was forced")
        XCTAssertEqual(Set(try whole.profile(runs: 1).map(\.algorithm)), ["", "reference"])

        let (first, second) = try resumed({ try trainer("reference") }, threads: 1)
        XCTAssertEqual(try algorithms(second), try algorithms(first))
        try second.fit(Toy.dataset(80))
        XCTAssertEqual(try bits(second.network()), try bits(whole.network()))
    }

    func testATunedTrainingResumesWithTheSameBits() throws {
        let whole = try trainer(tune: true)
        let (first, second) = try resumed({ try trainer(tune: true, threads: 1) }, threads: 2)
        XCTAssertEqual(try algorithms(first).count, try algorithms(whole).count)
        XCTAssertEqual(try algorithms(second), try algorithms(first))
        XCTAssertEqual(second.plan.algorithms, first.plan.algorithms)
        try first.fit(Toy.dataset(80))
        try second.fit(Toy.dataset(80))
        XCTAssertEqual(try bits(second.network()), try bits(first.network()))
    }

    /// A layer's algorithm must apply to its forward pass; other layers and, where it does not apply, other passes are free.
    func testOneLayer() throws {
        let forced = try trainer("conv1=winograd-f2")
        XCTAssertEqual(forced.plan.algorithms["conv1:0"], "winograd-f2")
        XCTAssertEqual(forced.plan.algorithms["conv2:0"], try trainer().plan.algorithms["conv2:0"])
        expect(.unsupported, "conv2", "winograd-f2") { _ = try trainer("conv2=winograd-f2") }  // stride 2
        expect(.notFound, "norm1") { _ = try trainer("norm1=direct") }
        expect(.notFound, "magic") { _ = try trainer("magic") }
    }

    func testRecordsThatDoNotFitAreRefused() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/t"
        try trainer("direct").save(to: path)
        let file = try NetworkFile(path: path)
        let record = try XCTUnwrap(file.metadata["training.algorithms"])
        XCTAssertTrue(record.contains("conv1:0 direct\n"), record)
        func resume(_ record: String?, version: String = "2") throws {
            var metadata = file.metadata
            (metadata["training.algorithms"], metadata["training.version"]) = (record, version)
            try NetworkFile(file.network, tensors: file.tensors, metadata: metadata).save(to: path)
            _ = try Trainer(resuming: path)
        }
        try resume(record)
        expect(.unsupported, "conv1:0", "magic") {
            try resume(record.replacing("conv1:0 direct", with: "conv1:0 magic"))
        }
        expect(.unsupported, "conv1", "grouped") {
            try resume(record.replacing("conv1:0 direct", with: "conv1:0 grouped"))
        }
        expect(.corruptData, "record") { try resume(record.replacing("conv1:0 direct\n", with: "")) }
        expect(.corruptData, "record") { try resume(record + "\nelsewhere:0 direct") }
        expect(.corruptData, "record") { try resume(record + "\nconv1:0 direct") }
        expect(.corruptData, "record") { try resume(record + "\ndirect") }
        expect(.corruptData, "record") { try resume(nil) }
        expect(.corruptData, "record") { try resume(record, version: "1") }
        expect(.unsupported, "version 3") { try resume(record, version: "3") }
    }

    func testAResumedTrainingChoosesNothing() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/t"
        try trainer().save(to: path)
        XCTAssertNil(try NetworkFile(path: path).metadata["training.algorithms"], "the rule finds them again")
        for choose in [{ $0.tune = true }, { $0.algorithm = "direct" }] as [(inout TrainerOptions) -> Void] {
            var options = TrainerOptions()
            choose(&options)
            expect(.invalidArgument, "began with") { _ = try Trainer(resuming: path, options: options) }
        }
    }
}
