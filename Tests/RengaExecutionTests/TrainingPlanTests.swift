// TrainingPlanTests.swift: gradients of every operator against finite differences, and every way of planning against every other.
import CRengaKernels
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class TrainingPlanTests: XCTestCase {
    private func assertSameGradients(_ a: TrainingPlan, _ b: TrainingPlan, _ what: String) {
        for (name, gradient) in a.gradientsByName {
            assertClose(gradient, b.gradientsByName[name] ?? [], absolute: 2e-5, relative: 1e-4, "\(what): \(name)")
        }
    }

    func testGradientsOfEveryOperator() throws {
        for test in try Cases.all() {
            let check = try GradientCheck(test.network, n: 3)
            let plan = try check.plan()
            try check.check(plan, test.name)
            let twins = try check.plan(isa: RK_ISA_REFERENCE)
            try twins.run(check.images, check.labels)
            try plan.run(check.images, check.labels)
            assertSameGradients(plan, twins, "\(test.name), twins")
        }
    }

    func testMemoryReuseChangesNoBit() throws {
        for test in try Cases.all() {
            let check = try GradientCheck(test.network, n: 3)
            let (usual, apart) = (try check.plan(), try check.plan { $0.reuseMemory = false })
            for _ in 0..<2 {
                XCTAssertEqual(
                    try usual.run(check.images, check.labels).loss, try apart.run(check.images, check.labels).loss,
                    test.name)
                XCTAssertEqual(usual.gradientsByName, apart.gradientsByName, test.name)
            }
            XCTAssertLessThanOrEqual(usual.memory.activationsLowerBound, usual.memory.activations)
            XCTAssertLessThan(usual.memory.activations, apart.memory.activations, test.name)
        }
    }

    func testFusionChangesOnlyRounding() throws {
        for test in try Cases.all() {
            let check = try GradientCheck(test.network, n: 3)
            let (fused, plain) = (try check.plan(), try check.plan { $0.fuse = false })
            XCTAssertEqual(
                try fused.run(check.images, check.labels).loss, try plain.run(check.images, check.labels).loss,
                accuracy: 1e-5, test.name)
            assertSameGradients(fused, plain, "\(test.name), unfused")
        }
    }

    func testSameBitsForAnyThreadsAndRun() throws {
        for test in try Cases.all() {
            let check = try GradientCheck(test.network, n: 3)
            let one = try check.plan(threads: 1)
            let loss = try one.run(check.images, check.labels).loss
            let gradients = one.gradientsByName
            XCTAssertEqual(try one.run(check.images, check.labels).loss, loss, test.name)
            XCTAssertEqual(one.gradientsByName, gradients, test.name)
            for threads in 2...3 {
                let plan = try check.plan(threads: threads)
                XCTAssertEqual(try plan.run(check.images, check.labels).loss, loss, "\(test.name), \(threads) threads")
                XCTAssertEqual(plan.gradientsByName, gradients, "\(test.name), \(threads) threads")
            }
        }
    }

    func testSmallerBatchIsThatOfASmallerPlan() throws {
        let network = try Cases.blocks()[0].network
        let (large, small) = (try GradientCheck(network, n: 5), try GradientCheck(network, n: 2))
        let (plan, expected) = (try large.plan(), try small.plan())
        let program = plan.program
        let ran = try program.keep(Int32(0))
        try program.add(
            "count",
            { args, team in
                guard let args, team?.pointee.tid == 0 else { return }
                args.assumingMemoryBound(to: UnsafeMutablePointer<Int32>.self).pointee.pointee += 1
            }, ran)
        try plan.run(large.images, large.labels)
        try plan.load(from: network)
        let loss = try plan.run(small.images, small.labels, n: 2).loss
        XCTAssertEqual(loss, try expected.run(small.images, small.labels).loss, accuracy: 1e-6)
        assertSameGradients(plan, expected, "n = 2")
        XCTAssertEqual(ran.pointee, 2, "the trainer's own steps run behind every variant")
    }

    func testRunningStatisticsMoveAsTheyShould() throws {
        let network = try Cases.operators()[6].network
        let check = try GradientCheck(network, n: 3)
        let plan = try check.plan()
        try plan.run(check.images, check.labels)
        var trained = network
        try plan.store(into: &trained)
        let shapes = try network.shapes(n: 3)
        let map = ReferenceMap(shapes[0], check.images.map(Double.init))
        let conv = try ReferenceInterpreter(network).run([map])[1]
        let rows = conv.shape.rows
        for c in 0..<6 {
            let column = (0..<rows).map { conv.values[$0 * 6 + c] }
            let mean = column.reduce(0, +) / Double(rows)
            let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows - 1)
            for (name, value) in [("running_mean", mean), ("running_variance", variance)] {
                let full = "batch_norm_1.\(name)"
                let before = Double(network.parameters[full]?.tensor.values[c] ?? .nan)
                let after = Double(trained.parameters[full]?.tensor.values[c] ?? .nan)
                XCTAssertEqual(after, 0.9 * before + 0.1 * value, accuracy: 1e-5, full)
            }
        }
    }

    func testFrozenBatchNormsStayAsTheyAre() throws {
        let network = try Cases.operators()[8].network
        let check = try GradientCheck(network, n: 3)
        let plan = try check.plan()
        XCTAssertFalse(plan.trainable.contains { $0.name.hasPrefix("batch_norm") })
        XCTAssertEqual(plan.statistics.map(\.name).filter { $0.hasPrefix("batch_norm") }.count, 4)
        try plan.run(check.images, check.labels)
        var trained = network
        try plan.store(into: &trained)
        for (name, parameter) in network.parameters {
            XCTAssertEqual(trained.parameters[name]?.tensor.values, parameter.tensor.values, name)
        }
    }

    func testLastSoftmaxGoesToTheLoss() throws {
        var net = try Layers(h: 3, w: 3, c: 2)
        try net.add("flatten")
        try net.add("linear", ["channels": "4"])
        try net.add("softmax")
        let check = try GradientCheck(try net.network(), n: 3)
        let plan = try check.plan()
        XCTAssertEqual(plan.bypassedSoftmax, "softmax_1")
        XCTAssertEqual(plan.lossLayer, "linear_1")
        try check.check(plan, "softmax")
    }

    func testCountsRightAnswersAndInvalidLabels() throws {
        var net = try Layers(h: 1, w: 1, c: 3)
        try net.add("linear", ["channels": "3", "bias": "no"])
        var network = try net.network()
        try network.setParameter("linear_1.weight", Tensor(dimensions: [3, 3], values: [1, 0, 0, 0, 1, 0, 0, 0, 1]))
        let plan = try TrainingPlan(network, TrainingPlan.Options(n: 3, threads: 1))
        let result = try plan.run([5, 0, 0, 0, 5, 0, 0, 0, 5], [0, 2, -1])
        XCTAssertEqual(result.correct, 1)
        XCTAssertEqual(result.invalid, 1)
    }

    func testRefusals() throws {
        var net = try Layers(h: 4, w: 4, c: 2)
        try net.add("relu")
        let nothing = try net.network()
        assertFails(.unsupported, "[2,4,4,2]") { try TrainingPlan(nothing, .init(n: 2, threads: 1)) }
        try net.add("flatten")
        let flat = try net.network()
        assertFails(.unsupported, "no parameter") { try TrainingPlan(flat, .init(n: 2, threads: 1)) }
        try net.add("linear", ["channels": "3"])
        let good = try net.network()
        let two = try net.network([net.last, 1])
        assertFails(.unsupported, "2") { try TrainingPlan(two, .init(n: 2, threads: 1)) }
        assertFails(.invalidArgument, "images") { try TrainingPlan(good, .init(n: 0, threads: 1)) }
        assertFails(.invalidArgument, "threads") { try TrainingPlan(good, .init(n: 1, threads: 0)) }
        assertFails(.invalidArgument, "smoothing") {
            try TrainingPlan(good, .init(n: 1, threads: 1, labelSmoothing: 1))
        }
        let plan = try TrainingPlan(good, .init(n: 2, threads: 1))
        assertFails(.invalidArgument, "1...2") { try plan.run(n: 3) }
        assertFails(.shapeMismatch, "missing") { try plan.load(from: nothing) }
    }
}
