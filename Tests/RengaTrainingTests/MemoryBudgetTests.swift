// MemoryBudgetTests: training under a byte budget ends with every bit of the training without one, and holds what was predicted.
import CRengaKernels
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaTraining

final class MemoryBudgetTests: XCTestCase {
    private func options(_ budget: Int?, _ isa: rk_isa?) -> TrainerOptions {
        var options = TrainerOptions(memoryBudget: budget)
        options.isa = isa
        return options
    }

    private func least(_ network: Network, _ recipe: Recipe, _ isa: rk_isa? = nil) throws -> Int {
        do {
            _ = try Trainer.memory(of: network, recipe: recipe, options: options(1, isa))
            XCTFail("a byte is no budget")
        } catch let error as RengaError {
            XCTAssertEqual(error.status, .invalidArgument)
            return try XCTUnwrap(error.message.split(separator: " ").last.flatMap { Int($0) }, error.message)
        }
        return 0
    }

    private func state(_ trainer: Trainer) throws -> [[UInt32]] {
        let values = trainer.optimizer.state.map { state in
            (0..<trainer.plan.parameterFloats).map { state.buffer.floats[$0].bitPattern }
        }
        return values + (try bits(trainer.network())).sorted { $0.key < $1.key }.map(\.value)
    }

    func testEverythingEndsWithTheSameBits() throws {
        let data = try Toy.dataset(60)
        // In bands the toy keeps nothing that could be computed again; the reference has none.
        let residual = try Architectures.make(
            "resnet", options: ["depth": "8", "input": "8x9x1", "classes": "4"], seed: 2)
        let networks = [(try Toy.network(), RK_ISA_REFERENCE), (residual, nil)]
        for (network, isa) in networks {
            for optimizer in OptimizerKind.allCases {
                var recipe = Toy.recipe(epochs: 2)
                (recipe.optimizer, recipe.clipNorm) = (optimizer, 1)
                let least = try least(network, recipe, isa)
                let usual = try Trainer(network, recipe: recipe, options: options(nil, isa))
                let tight = try Trainer(network, recipe: recipe, options: options(least, isa))
                XCTAssertLessThanOrEqual(tight.peakBytes, least)
                XCTAssertLessThan(least, usual.peakBytes)
                XCTAssertGreaterThan(tight.memory.recomputedLayers, 0)
                for trainer in [usual, tight] {
                    try trainer.fit(data)
                    XCTAssertEqual(trainer.memory.total, trainer.peakBytes)
                }
                XCTAssertEqual(try state(tight), try state(usual), "\(optimizer)")
                XCTAssertEqual(tight.history.map(\.loss), usual.history.map(\.loss))
                XCTAssertEqual(
                    tight.memory,
                    try Trainer.memory(of: network, recipe: recipe, options: options(least, isa)))
            }
        }
    }

    func testResumesUnderAnotherBudget() throws {
        let data = try Toy.dataset(60)
        let (network, recipe) = (try Toy.network(), Toy.recipe(epochs: 2))
        let whole = try Trainer(network, recipe: recipe)
        try whole.fit(data)
        let scratch = try Scratch()
        let path = scratch.path + "/t"
        let first = try Trainer(network, recipe: recipe)
        expect(.cancelled) { try first.fit(data) { $0.step < 2 } }
        try first.save(to: path)
        let options = TrainerOptions(memoryBudget: try least(network, recipe))
        let resumed = try Trainer(resuming: path, options: options)
        try resumed.fit(data)
        XCTAssertEqual(try bits(resumed.network()), try bits(whole.network()))
    }

    func testBudgetsThatAreNone() throws {
        for budget in [0, -1, Int.min] {
            expect(.invalidArgument) {
                _ = try Trainer(Toy.network(), recipe: Toy.recipe(), options: TrainerOptions(memoryBudget: budget))
            }
        }
        // More than enough changes nothing.
        let (usual, rich) = (
            try Trainer(Toy.network(), recipe: Toy.recipe()),
            try Trainer(Toy.network(), recipe: Toy.recipe(), options: TrainerOptions(memoryBudget: .max))
        )
        XCTAssertEqual(usual.memory, rich.memory)
    }
}
