// GateTrainingTests: stochastic depth in a whole training: gates of their own stream, recorded, forced, resumed.
// Not here: the law of the draws (RengaNetworkTests), gradients behind gates (RengaExecutionTests), PyTorch's numbers (GoldenTests).
import RengaArchitectures
import RengaData
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaTraining

final class GateTrainingTests: XCTestCase {
    private func network(_ options: String) throws -> Network {
        try Architectures.make(
            "pyramidnet",
            options: Attributes(text: "depth=14,width=4,alpha=9,classes=4,input=8x9x1,stochastic_depth=" + options))
    }

    private let kinds = [
        "joint,survival=0.3", "separate,survival=0.4,gate_correlation=0.5,gate_closed=skip",
        "separate,survival=0.4,gate_scope=sample",
    ]

    func testSameBitsForAnyThreadsAndResumedAnywhere() throws {
        let train = try Toy.dataset(80)
        for kind in kinds {
            let whole = try Trainer(network(kind), recipe: Toy.recipe(), options: TrainerOptions(threads: 1))
            var gates: [[GateRecord]] = []
            try whole.fit(train) { progress in
                if !progress.epochEnded { gates.append(whole.gates) }
                return true
            }
            XCTAssertEqual(gates.count, 12)
            XCTAssertGreaterThan(Set(gates.map { "\($0)" }).count, 8, "gates are drawn anew in each step")
            let expected = try bits(whole.network())
            let scratch = try Scratch()
            let path = scratch.path + "/training"
            for stop in [1, 5, 9] {
                let trainer = try Trainer(network(kind), recipe: Toy.recipe())
                expect(.cancelled) { try trainer.fit(train) { progress in progress.step < stop } }
                try trainer.save(to: path + "-\(stop)")
                let resumed = try Trainer(resuming: path + "-\(stop)", options: TrainerOptions(threads: 2))
                var rest: [[GateRecord]] = []
                try resumed.fit(train) { progress in
                    if !progress.epochEnded { rest.append(resumed.gates) }
                    return true
                }
                XCTAssertEqual(rest, Array(gates.suffix(rest.count)), kind)
                XCTAssertEqual(try bits(resumed.network()), expected, "\(kind), stopped after step \(stop)")
            }
        }
    }

    func testRecordedGatesAreThoseOfTheStreamAndForcingThemIsTheSameStep() throws {
        for kind in kinds where !kind.hasSuffix("sample") {
            let (drawn, forced) = (try Trainer(network(kind)), try Trainer(network(kind)))
            XCTAssertTrue(drawn.gates.allSatisfy { $0.open == [$0.survivals.map { _ in true }] })
            for step in 0..<4 {
                let loss = try Self.step(drawn)
                for record in drawn.gates {
                    let node = try XCTUnwrap(drawn.network().nodes.first { $0.name == record.layer })
                    let gate = try XCTUnwrap(node.op as? StochasticGate)
                    let draws = StochasticGate.Draws(gate, name: record.layer)
                    XCTAssertEqual(record.open, [draws.open(seed: UInt64(drawn.recipe.seed), index: UInt64(step))])
                    XCTAssertEqual(record.survivals, gate.survivals)
                }
                try forced.forceGates(
                    Dictionary(uniqueKeysWithValues: drawn.gates.map { ($0.layer, $0.open[0]) }))
                XCTAssertEqual(try Self.step(forced), loss)
                XCTAssertEqual(forced.gates, drawn.gates)
            }
            XCTAssertEqual(try bits(forced.network()), try bits(drawn.network()))
            try forced.forceGates(nil)
            XCTAssertEqual(try Self.step(forced), try Self.step(drawn))
        }
    }

    private static func step(_ trainer: Trainer) throws -> Double {
        let n = trainer.recipe.batchSize
        var pixels: [Float] = []
        var labels: [Int32] = []
        var random = RandomStream(seed: 3, purpose: .augmentation)
        for index in 0..<n {
            labels.append(Int32(index % Toy.classes))
            for _ in 0..<Toy.h * Toy.w { pixels.append(random.uniform() + Float(index % Toy.classes)) }
        }
        return try pixels.withUnsafeBytes { pixels in
            let view = InputView(
                data: try XCTUnwrap(pixels.baseAddress), shape: Shape(n: n, h: Toy.h, w: Toy.w, c: 1))
            return try labels.withUnsafeBufferPointer { try trainer.step(view, labels: $0).loss }
        }
    }

    func testForcingByText() throws {
        let trainer = try Trainer(network(kinds[1]))
        let names = trainer.gates.map(\.layer)
        try trainer.forceGates(text: "\(names[0])=01, \(names[2])=00")
        _ = try Self.step(trainer)
        XCTAssertEqual(trainer.gates[0].open, [[false, true]])
        XCTAssertEqual(trainer.gates[2].open, [[false, false]])
        for (text, status, words) in [
            ("\(names[0])=2", Status.invalidArgument, "digits 0 (closed) or 1 (open), got '2'"),
            ("\(names[0])=1", .invalidArgument, "has 2 gate(s), got values for 1"), ("nobody=1", .notFound, "'nobody'"),
        ] {
            XCTAssertThrowsError(try trainer.forceGates(text: text)) { error in
                XCTAssertEqual((error as? RengaError)?.status, status)
                XCTAssertTrue((error as? RengaError)?.message.contains(words) == true, "\(error)")
            }
        }
        XCTAssertThrowsError(try Trainer(Toy.network()).forceGates(["conv1": [true]]))
        XCTAssertEqual(try Trainer(Toy.network()).gates, [])
    }

    /// Weight decay and momentum still move the weights of a closed block.
    func testWeightsOfClosedBlocksStillMove() throws {
        let start = try network(kinds[1])
        let trainer = try Trainer(start)
        let layer = trainer.gates[1].layer
        try trainer.forceGates([layer: [false, false]])
        _ = try Self.step(trainer)
        let name = layer.dropLast("gate".count) + "conv2.weight"
        let (before, after) = (
            try XCTUnwrap(start.parameters[String(name)]).tensor.values,
            try XCTUnwrap(trainer.network().parameters[String(name)]).tensor.values
        )
        let rate = Float(trainer.recipe.learningRate * trainer.recipe.weightDecay * (1 + trainer.recipe.momentum))
        XCTAssertGreaterThan(rate, 0)
        for (x, y) in zip(before, after) { XCTAssertEqual(y, x * (1 - rate), accuracy: 1e-6) }
    }
}
