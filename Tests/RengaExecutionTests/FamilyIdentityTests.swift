// FamilyIdentityTests: whole families run: folding changes nothing, and the identities between families that the papers state.
// Not here: graphs and counts of the families (RengaArchitecturesTests).
import RengaArchitectures
import RengaExecution
import RengaNetwork
import RengaRewrites
import TestSupport
import XCTest

final class FamilyIdentityTests: XCTestCase {
    /// A small network of the family with random parameters and statistics.
    private func network(_ family: String, _ options: String, seed: UInt64 = 1) throws -> Network {
        var network = try Architectures.make(family, options: Attributes(text: options))
        try network.randomiseParameters(seed: seed)
        return network
    }

    /// The outputs for two random images.
    private func run(_ network: Network, fold: Bool = true) throws -> [Float] {
        var random = TestRandom(4)
        var options = SessionOptions()
        (options.batch, options.threads, options.foldBatchNorm) = (2, 2, fold)
        let images = network.inputs.map { random.floats(2 * $0.h * $0.w * $0.c) }
        return try Session(network, options).run(images, n: 2)[0]
    }

    /// Close, measured against the largest of the expected numbers.
    private func assertSame(_ a: [Float], _ b: [Float], _ what: String) {
        let scale = b.map(\.magnitude).max() ?? 1
        assertClose(a, b, absolute: 2e-5 * scale, relative: 0, what)
        XCTAssertGreaterThan(Set(b).count, b.count / 2, "\(what): the outputs say nothing")
    }

    private static let families = [
        ("cnn", "width=5,convolutions=1,input=8x8x3"), ("resnet", "depth=8,input=9x8x3"),
        ("resnet", "depth=8,order=pre,shortcut=project,input=8x8x3"),
        ("resnet", "depth=11,order=pre,block=bottleneck,input=8x8x3"),
        ("resnext", "depth=11,groups=3,width=5,input=8x8x3"),
        ("inception", "depth=8,branches=3,input=8x8x3"), ("dmrnet", "depth=8,input=8x8x3"),
        ("dmrnet", "depth=14,branches=3,collapse=concat,input=7x8x3"), ("pyramidnet", "depth=8,alpha=13,input=9x7x3"),
        ("pyramidnet", "depth=11,alpha=5,block=bottleneck,input=8x8x3"),
        ("squeezenet", "version=1.1,input=35x33x3"), ("squeezenet", "version=1.0"),
    ]

    func testFoldingChangesNothing() throws {
        for (family, options) in Self.families {
            let network = try network(family, options)
            let unfolded = try run(network, fold: false)
            assertSame(try run(network), unfolded, "\(family) \(options), folded by the plan")
            let rewritten = try FoldBatchNorm.apply(RemoveIdentities.apply(network).network).network
            assertSame(try run(rewritten, fold: false), unfolded, "\(family) \(options), folded as a network")
        }
    }

    /// Gives `network` the parameters of `source`, found under the name that `rename` makes of each own name; nil keeps the own.
    private func copy(
        _ source: Network, into network: inout Network, _ rename: (String) -> String?
    ) throws {
        for name in network.parameterNames {
            guard let other = rename(name) else { continue }
            try network.setParameter(name, XCTUnwrap(source.parameters[other], other).tensor)
        }
    }

    /// M = I for one stream: merge-and-run and inception-like networks with one branch are the residual network.
    func testOneBranchIsTheResidualNetwork() throws {
        let residual = try network("resnet", "depth=14,shortcut=project,input=8x8x3")
        for (family, shortcut) in [("dmrnet", "shortcut1"), ("inception", "shortcut")] {
            var single = try network(family, "depth=14,branches=1,input=8x8x3", seed: 9)
            try copy(residual, into: &single) {
                $0.replacing("branch1.", with: "").replacing(shortcut, with: "shortcut")
            }
            assertSame(try run(single), try run(residual), family)
        }
    }

    /// Branches that give zero do not count: an inception-like network with one living branch is the residual network.
    func testDeadBranchesDoNotCount() throws {
        let residual = try network("resnet", "depth=14,shortcut=project,input=8x8x3")
        var branched = try network("inception", "depth=14,branches=3,input=8x8x3", seed: 9)
        try copy(residual, into: &branched) {
            $0.contains("branch2") || $0.contains("branch3") ? nil : $0.replacing("branch1.", with: "")
        }
        for name in branched.parameterNames where !name.contains("branch1") && name.contains("branch") {
            guard name.hasSuffix("bn2.gamma") || name.hasSuffix("bn2.beta") else { continue }
            let dimensions = try XCTUnwrap(branched.parameters[name]).tensor.dimensions
            try branched.setParameter(name, Tensor(dimensions: dimensions))
        }
        assertSame(try run(branched), try run(residual), "inception")
    }

    /// Exchanging two streams with all that is theirs permutes them and leaves the collapsed output as it is; exchanging only one layer does not.
    func testStreamsMayBeExchanged() throws {
        let network = try network("dmrnet", "depth=14,input=8x8x3")
        var exchanged = network
        try copy(network, into: &exchanged) {
            $0.replacing("branch1", with: "branch0").replacing("branch2", with: "branch1")
                .replacing("branch0", with: "branch2").replacing("shortcut1", with: "shortcut0")
                .replacing("shortcut2", with: "shortcut1").replacing("shortcut0", with: "shortcut2")
        }
        assertSame(try run(exchanged), try run(network), "all exchanged")
        var mixed = network
        try mixed.setParameter(
            "stage1.block2.branch1.conv1.weight",
            XCTUnwrap(network.parameters["stage1.block2.branch2.conv1.weight"]).tensor)
        XCTAssertNotEqual(try run(mixed), try run(network))
    }
}
