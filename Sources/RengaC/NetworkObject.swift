// NetworkObject.swift: what a renga_network points to: a network value behind a lock, with the borrowed names of its parameters.
// Not here: the C functions (Network.swift, Parameters.swift).
import Glibc
import Renga
import RengaNetwork

/// A network that several threads may share: readers take a copy of the value, writers replace it.
final class NetworkObject: HandleObject, @unchecked Sendable {
    static let handleName: StaticString = "renga_network"
    static let kind: UInt64 = 1

    /// One parameter as C sees it: names never change while the network lives.
    struct Entry {
        let name: String
        let namePointer: UnsafeMutablePointer<CChar>
        let dimensions: [Int]
    }

    private let lock = Lock()
    private var network: Network
    /// In order of the layers.
    let entries: [Entry]

    init(_ network: Network) throws(RengaError) {
        self.network = network
        var entries: [Entry] = []
        do {
            for (name, dimensions) in try network.parameterList() {
                entries.append(Entry(name: name, namePointer: try copied(name), dimensions: dimensions))
            }
        } catch {
            for entry in entries { free(entry.namePointer) }
            throw error
        }
        self.entries = entries
    }

    deinit {
        for entry in entries { free(entry.namePointer) }
    }

    /// The network as it stands now.
    var value: Network { lock.held { network } }

    /// Changes the network by one of its own operations, which leave it as it was where they fail.
    func change(_ body: (inout Network) throws(RengaError) -> Void) throws(RengaError) {
        try lock.held { () throws(RengaError) in try body(&network) }
    }
}

extension Network {
    /// Full names and dimensions of all parameters, in order of the layers.
    fileprivate func parameterList() throws(RengaError) -> [(name: String, dimensions: [Int])] {
        let shapes = try shapes(n: 1)
        var list: [(String, [Int])] = []
        for index in nodes.indices {
            for (name, spec) in try parameterSpecs(ofNode: index, shapes: shapes) {
                list.append((name, spec.dimensions))
            }
        }
        return list
    }
}
