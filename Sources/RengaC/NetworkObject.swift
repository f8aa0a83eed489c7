// NetworkObject.swift: what a renga_network points to: a network value behind a lock, with the borrowed names of its parameters.
// Not here: the C functions (Network.swift, Parameters.swift).
import Glibc
import Renga
import RengaExecution
import RengaNetwork

/// A network that several threads may share: readers take a copy of the value, writers replace it.
final class NetworkObject: HandleObject, @unchecked Sendable {
    static let handleName: StaticString = "renga_network"
    static let kind: UInt64 = 1

    private let lock = Lock()
    private var network: Network
    /// The names of the parameters as C text, in their order; they never change while the network lives.
    private let names: CTexts

    init(_ network: Network) throws(RengaError) {
        self.network = network
        names = try CTexts(network.parameterNames)
    }

    /// The network as it stands now.
    var value: Network { lock.locked { network } }

    /// The name of parameter `index`, borrowed; `index` must be one.
    func parameterName(_ index: Int) -> UnsafePointer<CChar> { names[index] }

    /// Changes the network by one of its own operations, which leave it as it was where they fail.
    func change(_ body: (inout Network) throws(RengaError) -> Void) throws(RengaError) {
        try lock.locked { () throws(RengaError) in try body(&network) }
    }
}

/// Texts that C borrows: they stay where they are as long as this lives.
final class CTexts: @unchecked Sendable {
    private var pointers: [UnsafeMutablePointer<CChar>] = []

    init(_ texts: [String]) throws(RengaError) {
        pointers.reserveCapacity(texts.count)
        for text in texts { pointers.append(try copied(text)) }
    }

    deinit {
        for pointer in pointers { free(pointer) }
    }

    var count: Int { pointers.count }

    subscript(_ index: Int) -> UnsafePointer<CChar> { UnsafePointer(pointers[index]) }
}
